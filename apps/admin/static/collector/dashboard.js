"use strict";
// Keeps the dashboard live: polls the present state while the page is visible.
(() => {
  const live = window.collectorCharts.read("live");
  const note = document.getElementById("live-note");
  if (!live || !note) return;
  let timer = null;
  let failures = 0;

  function showStatus(state, word) {
    note.classList.toggle("is-live", state === "live");
    note.classList.toggle("is-lost", state === "lost");
    note.querySelector("[data-live-word]").textContent = word;
  }

  function show(state) {
    document.querySelectorAll("[data-piece]").forEach((piece) => {
      const html = state.html[piece.dataset.piece];
      if (html === undefined || piece.dataset.shown === html) return;
      // A piece with the keyboard focus is not replaced: the focus would be lost.
      if (piece.contains(document.activeElement)) return;
      piece.innerHTML = html;
      piece.dataset.shown = html;
    });
    window.collectorCharts.drawAll(state.charts);
    note.querySelector("[data-live-time]").textContent = state.generated_at;
    showStatus("live", note.dataset.live);
  }

  async function poll() {
    try {
      const response = await fetch(live.url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (response.status === 403) {
        window.location.reload();
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      show(await response.json());
      failures = 0;
    } catch {
      failures += 1;
      showStatus("lost", note.dataset.lost);
    }
    schedule();
  }

  function schedule() {
    window.clearTimeout(timer);
    if (document.hidden) {
      showStatus("paused", note.dataset.paused);
      return;
    }
    timer = window.setTimeout(poll, live.seconds * 1000 * Math.min(1 + failures, 6));
  }

  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    if (document.hidden) schedule();
    else poll();
  });
  showStatus("live", note.dataset.live);
  schedule();
})();
