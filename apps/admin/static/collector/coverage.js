"use strict";
// The map as a grid for mouse and keyboard: open a cell, choose a range.
window.collectorMap = (() => {
  // The newest period is in sight at first. The theme shows the page later, so the width is not known yet.
  document.querySelectorAll("[data-newest-last]").forEach((frame) => {
    const observer = new ResizeObserver(() => { frame.scrollLeft = frame.scrollWidth; });
    observer.observe(frame.firstElementChild);
    ["pointerdown", "wheel", "keydown", "focusin"].forEach((name) => {
      frame.addEventListener(name, () => observer.disconnect(), { once: true, passive: true });
    });
  });
  const holder = document.getElementById("coverage");
  const map = document.getElementById("map");
  if (!holder || !map) return null;
  const facts = JSON.parse(holder.textContent);
  const dialog = document.getElementById("cell");
  const place = dialog.querySelector("[data-cell-place]");
  const body = map.tBodies[0];
  const fill = document.getElementById("fill");
  const heads = [...map.tHead.rows[0].cells].slice(1);
  let current = body.rows[0] && body.rows[0].cells[1];
  let anchor = null;
  let isDragging = false;
  let panel = null;

  map.setAttribute("role", "grid");
  if (current) current.tabIndex = 0;

  const rowOf = (cell) => cell.parentElement.sectionRowIndex;
  const columnOf = (cell) => cell.cellIndex - 1;
  const cellAt = (row, column) => body.rows[row] && body.rows[row].cells[column + 1];
  const letterOf = (cell) => cell.className.replace("is-chosen", "").trim();
  const stateOf = (cell) => (facts.states[letterOf(cell)] || ["", ""])[1];
  const periodOf = (cell) => heads[columnOf(cell)].dataset.period;
  const fragmentOf = (cell) => `#cell=${cell.parentElement.dataset.category}:${periodOf(cell)}`;

  function describe(cell) {
    const name = cell.parentElement.querySelector("[data-name]").textContent.trim();
    cell.setAttribute("aria-label", `${name}, ${heads[columnOf(cell)].textContent}: ${stateOf(cell)}`);
  }

  function focus(cell) {
    if (!cell) return;
    if (current) current.tabIndex = -1;
    current = cell;
    current.tabIndex = 0;
    describe(current);
    current.focus();
  }

  // Marks the rectangle between two cells, and copies its periods and categories to the form that fills.
  function choose(one, other) {
    body.querySelectorAll(".is-chosen").forEach((cell) => cell.classList.remove("is-chosen"));
    if (!one || !other) return;
    const rows = [rowOf(one), rowOf(other)].sort((a, b) => a - b);
    const columns = [columnOf(one), columnOf(other)].sort((a, b) => a - b);
    for (let row = rows[0]; row <= rows[1]; row += 1) {
      for (let column = columns[0]; column <= columns[1]; column += 1) cellAt(row, column).classList.add("is-chosen");
    }
    if (!fill) return;
    fill.elements.namedItem("from").value = heads[columns[0]].textContent;
    fill.elements.namedItem("to").value = heads[columns[1]].textContent;
    [...body.rows].forEach((row, index) => {
      row.querySelector("input[type=checkbox]").checked = index >= rows[0] && index <= rows[1];
    });
  }

  function mark(cell, letter) {
    if (letterOf(cell) === letter || !facts.states[letter]) return;
    const isChosen = cell.classList.contains("is-chosen");
    cell.className = letter;
    cell.textContent = facts.states[letter][0];
    cell.classList.toggle("is-chosen", isChosen);
    cell.removeAttribute("title");
    if (cell.hasAttribute("aria-label")) describe(cell);
  }

  function removeNotes() {
    dialog.querySelectorAll(":scope > .cp-note").forEach((note) => note.remove());
  }

  async function open(cell) {
    const address = new URL(facts.cell, window.location.origin);
    address.search = new URLSearchParams({
      action: facts.action,
      granularity: facts.granularity,
      category: cell.parentElement.dataset.category,
      period: periodOf(cell),
    });
    let answer;
    try {
      answer = await window.collectorCell.read(address);
    } catch {
      window.location.assign(address);
      return;
    }
    close();
    removeNotes();
    if (answer.error) place.textContent = answer.error;
    panel = window.collectorCell.show(place, address, {
      answer,
      onAnswer: (result) => {
        if (result.mark) mark(cell, result.mark);
        if (result.is_under_way === false) removeNotes();
      },
    });
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    window.history.replaceState(null, "", fragmentOf(cell));
  }

  function close() {
    if (panel) panel.stop();
    panel = null;
  }

  dialog.addEventListener("submit", async (event) => {
    if (!event.target.matches("[data-plan]")) return;
    event.preventDefault();
    removeNotes();
    const { result } = await window.collectorCell.plan(place, event.target);
    if (!result.message) return;
    if (current && panel) mark(current, result.mark);
    if (panel) panel.refresh();
    document.dispatchEvent(new Event("collector:coverage"));
  });
  dialog.addEventListener("close", () => {
    close();
    window.history.replaceState(null, "", window.location.pathname + window.location.search);
    if (current) current.focus();
  });

  body.addEventListener("mousedown", (event) => {
    const cell = event.target.closest("td");
    if (!cell || event.button !== 0) return;
    anchor = event.shiftKey && anchor ? anchor : cell;
    isDragging = true;
    if (event.shiftKey) choose(anchor, cell);
  });
  body.addEventListener("mouseover", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    if (!cell.title) cell.title = `${heads[columnOf(cell)].textContent}: ${stateOf(cell)}`;
    if (isDragging && event.buttons === 1 && cell !== anchor) choose(anchor, cell);
  });
  document.addEventListener("mouseup", (event) => {
    const cell = event.target instanceof Element && event.target.closest("#map td");
    if (isDragging && cell && cell === anchor && !event.shiftKey) {
      choose(null, null);
      focus(cell);
      open(cell);
    }
    isDragging = false;
  });
  body.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(cell);
    } else if (steps[event.key]) {
      event.preventDefault();
      const next = cellAt(rowOf(cell) + steps[event.key][0], columnOf(cell) + steps[event.key][1]);
      if (!next) return;
      if (event.shiftKey) {
        anchor = anchor || cell;
        choose(anchor, next);
      } else {
        anchor = next;
      }
      focus(next);
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      focus(cellAt(rowOf(cell), event.key === "Home" ? 0 : heads.length - 1));
    }
  });
  document.querySelectorAll("[data-tick]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      body.querySelectorAll("input[type=checkbox]").forEach((box) => { box.checked = button.dataset.tick === "all"; });
    });
  });

  // The address of an open cell opens it again.
  const [, category, period] = /^#cell=(\d*):(\w+)$/.exec(window.location.hash) || [];
  const row = [...body.rows].find((one) => one.dataset.category === category);
  const column = heads.findIndex((head) => head.dataset.period === period);
  if (row && column >= 0) {
    focus(row.cells[column + 1]);
    open(row.cells[column + 1]);
  }
  return { map, body, mark };
})();
