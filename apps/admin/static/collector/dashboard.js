"use strict";
// Keeps the dashboard live: asks for the present state while the page can be seen.
(() => {
  const live = window.collectorCharts.read("live");
  const note = document.getElementById("live-note");
  if (!live || !note) return;
  let timer = null;
  let failures = 0;

  function tell(state, word) {
    note.classList.toggle("is-live", state === "live");
    note.classList.toggle("is-lost", state === "lost");
    note.querySelector("[data-live-word]").textContent = word;
  }

  function show(state) {
    document.querySelectorAll("[data-piece]").forEach((piece) => {
      const html = state.html[piece.dataset.piece];
      if (html === undefined || piece.dataset.shown === html) return;
      // Not under the fingers of somebody who reads it with the keyboard.
      if (piece.contains(document.activeElement)) return;
      piece.innerHTML = html;
      piece.dataset.shown = html;
    });
    window.collectorCharts.drawAll(state.charts);
    note.querySelector("[data-live-time]").textContent = state.generated_at;
    tell("live", note.dataset.live);
  }

  async function ask() {
    try {
      const answer = await fetch(live.url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 403) {
        window.location.reload();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.json());
      failures = 0;
    } catch {
      failures += 1;
      tell("lost", note.dataset.lost);
    }
    plan();
  }

  function plan() {
    window.clearTimeout(timer);
    if (document.hidden) {
      tell("paused", note.dataset.paused);
      return;
    }
    timer = window.setTimeout(ask, live.seconds * 1000 * Math.min(1 + failures, 6));
  }

  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    if (document.hidden) plan();
    else ask();
  });
  tell("live", note.dataset.live);
  plan();
})();
