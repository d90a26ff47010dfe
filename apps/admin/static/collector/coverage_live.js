"use strict";
// Follows what happens: asks often while anything is under way, else rarely, and never in a hidden tab.
(() => {
  const holder = document.getElementById("coverage");
  if (!holder) return;
  const facts = JSON.parse(holder.textContent);
  const note = document.querySelector("[data-live-note]");
  const announcement = document.querySelector("[data-announce]");
  const grid = window.collectorMap;
  let seen = facts.seen;
  let wasActive = facts.is_active;

  function setText(selector, text) {
    const place = document.querySelector(selector);
    if (place && place.textContent !== text) place.textContent = text;
  }

  function showMap(content) {
    [...grid.body.rows].forEach((row) => {
      const [letters, stored] = content.rows[row.dataset.category] || ["", ""];
      if (letters.length !== row.cells.length - 1) return;
      [...letters].forEach((letter, column) => grid.mark(row.cells[column + 1], letter));
      row.querySelector("[data-stored]").textContent = stored;
    });
    Object.entries(content.legend).forEach(([letter, count]) => setText(`[data-legend="${letter}"]`, count));
  }

  function showOverview(content) {
    document.querySelectorAll("[data-share]").forEach((cell) => {
      const html = content.shares[cell.dataset.share];
      // A cell with the keyboard focus is not replaced: the focus would be lost.
      if (html === undefined || cell.dataset.shown === html || cell.contains(document.activeElement)) return;
      cell.innerHTML = html;
      cell.dataset.shown = html;
    });
    Object.entries(content.rows).forEach(([action, text]) => setText(`[data-row="${action}"]`, text));
  }

  function showStatus(isActive) {
    note.textContent = isActive ? note.dataset.active : "";
    // Only the end is announced: each change would be too much for a screen reader.
    if (wasActive && !isActive) announcement.textContent = `${announcement.dataset.ended} ${document.querySelector("[data-summary]").textContent.trim()}`;
    if (isActive) announcement.textContent = "";
    wasActive = isActive;
  }

  async function ask() {
    const address = new URL(facts.live, window.location.origin);
    address.searchParams.set("seen", seen);
    const response = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (response.status === 403) {
      window.location.reload();
      return null;
    }
    if (!response.ok) throw new Error(String(response.status));
    const answer = await response.json();
    if (answer.content) {
      setText("[data-summary-text]", answer.content.summary);
      setText("[data-failures]", answer.content.failures);
      document.querySelector("[data-failures]").hidden = !answer.content.failures;
      if (grid) showMap(answer.content);
      else showOverview(answer.content);
    }
    if (answer.seen) seen = answer.seen;
    showStatus(answer.is_active);
    return answer.seconds;
  }

  const poll = window.collectorPoll(ask, facts.seconds, () => { note.textContent = note.dataset.lost; });
  document.addEventListener("collector:coverage", poll.now);
  showStatus(facts.is_active);
})();
