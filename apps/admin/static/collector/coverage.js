"use strict";
// The heat map as a grid for mouse and keyboard: open a cell, choose a range.
(() => {
  const holder = document.getElementById("coverage");
  const map = document.getElementById("map");
  if (!holder || !map) return;
  const facts = JSON.parse(holder.textContent);
  const dialog = document.getElementById("cell");
  const body = map.tBodies[0];
  const fill = document.getElementById("fill");
  const heads = [...map.tHead.rows[0].cells].slice(1);
  let current = body.rows[0] && body.rows[0].cells[1];
  let anchor = null;
  let isDragging = false;
  let opened = null;

  map.setAttribute("role", "grid");
  if (current) current.tabIndex = 0;

  const rowOf = (cell) => cell.parentElement.sectionRowIndex;
  const columnOf = (cell) => cell.cellIndex - 1;
  const cellAt = (row, column) => body.rows[row] && body.rows[row].cells[column + 1];
  const stateOf = (cell) => facts.states[cell.className.replace("is-chosen", "").trim()] || "";

  function describe(cell) {
    const name = cell.parentElement.cells[0].querySelector("label, span").innerText.trim();
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

  async function open(cell) {
    opened = cell;
    const address = new URL(facts.cell, window.location.origin);
    address.search = new URLSearchParams({
      action: facts.action,
      granularity: facts.granularity,
      category: cell.parentElement.dataset.category,
      period: heads[columnOf(cell)].dataset.period,
    });
    const place = dialog.querySelector("[data-cell]");
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      const result = await response.json();
      if (result.html) place.innerHTML = result.html;
      else place.textContent = result.error;
      if (result.mark) mark(cell, result.mark);
    } catch {
      window.location.assign(address);
      return;
    }
    if (!dialog.open) dialog.showModal();
  }

  function mark(cell, letter) {
    const isChosen = cell.classList.contains("is-chosen");
    cell.className = letter;
    cell.textContent = letter === "M" ? "·" : letter;
    cell.classList.toggle("is-chosen", isChosen);
  }

  dialog.addEventListener("submit", async (event) => {
    if (!event.target.matches("[data-plan]")) return;
    event.preventDefault();
    const place = dialog.querySelector("[data-cell]");
    // `form.action` would be the field of that name, so the attribute is read.
    const note = document.createElement("p");
    note.className = "cp-note";
    note.setAttribute("role", "status");
    try {
      const response = await fetch(event.target.getAttribute("action"), {
        method: "POST", body: new FormData(event.target), headers: { Accept: "application/json" }, credentials: "same-origin",
      });
      const result = await response.json();
      note.textContent = result.message || result.error;
      note.classList.add(response.ok ? "cp-note-good" : "cp-note-bad");
      if (result.mark && opened) mark(opened, result.mark);
      if (response.ok) event.target.remove();
    } catch (problem) {
      note.textContent = String(problem);
      note.classList.add("cp-note-bad");
    }
    place.append(note);
  });
  dialog.addEventListener("close", () => current && current.focus());

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
})();
