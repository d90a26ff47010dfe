"use strict";
// Waits for figures that are being collected, while the page can be seen, and shows them when they have come.
(() => {
  const holder = document.getElementById("awaited");
  const place = document.querySelector("[data-miss]");
  if (!holder || !place) return;
  const awaited = JSON.parse(holder.textContent);
  let timer = null;
  let failures = 0;

  async function ask() {
    try {
      const answer = await fetch(awaited.state, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 404 || answer.status === 403) {
        window.location.assign(awaited.next);
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      place.querySelector("[data-status]").textContent = told.status_name;
      place.querySelector("[data-position]").textContent = told.position;
      if (told.is_final) {
        window.location.assign(awaited.next);
        return;
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    plan();
  }

  function plan() {
    window.clearTimeout(timer);
    if (!document.hidden) timer = window.setTimeout(ask, awaited.seconds * 1000 * Math.min(1 + failures, 10));
  }

  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    if (!document.hidden) ask();
  });
  plan();
})();
