"use strict";
// The panel of a cell: it follows the collection that is under way, and requests one.
window.collectorCell = (() => {
  const PAUSE_SECONDS = 3;
  const json = { Accept: "application/json" };

  async function read(address) {
    const response = await fetch(address, { headers: json, credentials: "same-origin" });
    return response.json();
  }

  // Shows the cell of an address in a place, and follows it until stopped. `onAnswer` gets each answer.
  function show(place, address, { answer = null, isUnderWay = false, onAnswer = () => {} } = {}) {
    let shown = {};

    function accept(result) {
      // The keyboard focus would be lost with the piece that has it, so only a new state replaces that.
      const hasFocus = place.contains(document.activeElement);
      if (result.html && result.html !== shown.html && (!hasFocus || result.mark !== shown.mark)) {
        place.innerHTML = result.html;
        shown = result;
        const heading = place.querySelector("h2");
        if (hasFocus && heading) {
          heading.tabIndex = -1;
          heading.focus();
        }
      }
      onAnswer(result);
      return result.is_under_way ? PAUSE_SECONDS : null;
    }

    const first = answer ? accept(answer) : isUnderWay ? PAUSE_SECONDS : null;
    const poll = window.collectorPoll(async () => accept(await read(address)), first);
    return { refresh: poll.now, stop: poll.stop };
  }

  // Posts the form of a panel; returns the answer of the server.
  async function plan(place, form) {
    const note = document.createElement("p");
    note.className = "cp-note";
    note.setAttribute("role", "status");
    let result = {};
    try {
      // `form.action` would be the field of that name, so the attribute is read.
      const response = await fetch(form.getAttribute("action"), {
        method: "POST", body: new FormData(form), headers: json, credentials: "same-origin",
      });
      result = await response.json();
      note.textContent = result.message || result.error;
      note.classList.add(response.ok ? "cp-note-good" : "cp-note-bad");
      if (response.ok) form.remove();
    } catch (problem) {
      note.textContent = String(problem);
      note.classList.add("cp-note-bad");
    }
    place.before(note);
    return { result, note };
  }

  const place = document.querySelector("[data-cell-place][data-address]");
  if (place) {
    let note = null;
    const panel = show(place, place.dataset.address, {
      isUnderWay: "underWay" in place.dataset,
      onAnswer: (result) => { if (note && result.is_under_way === false) note.remove(); },
    });
    place.addEventListener("submit", async (event) => {
      if (!event.target.matches("[data-plan]")) return;
      event.preventDefault();
      if (note) note.remove();
      const planned = await plan(place, event.target);
      note = planned.note;
      if (planned.result.message) panel.refresh();
    });
  }
  return { read, show, plan };
})();
