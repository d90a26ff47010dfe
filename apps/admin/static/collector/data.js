"use strict";
// Polls the collection of the figures while the page is visible, and loads the figures once it has ended.
(() => {
  const holder = document.getElementById("awaited");
  const place = document.querySelector("[data-miss]");
  if (!holder || !place) return;
  const awaited = JSON.parse(holder.textContent);
  let timer = null;
  let failures = 0;
  let isFormChanged = false;

  // What a person has begun to choose must not be lost when the figures of the former choice arrive.
  const form = document.querySelector(".cp-filters form");
  if (form) ["input", "change"].forEach((name) => form.addEventListener(name, () => { isFormChanged = true; }));

  function arrive() {
    if (!isFormChanged) {
      window.location.assign(awaited.next);
      return;
    }
    const note = place.querySelector("[data-arrived]");
    note.textContent = note.dataset.arrived;
  }

  async function poll() {
    try {
      const response = await fetch(awaited.state, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (response.status === 404 || response.status === 403) {
        window.location.assign(awaited.next);
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      const state = await response.json();
      place.querySelector("[data-status]").textContent = state.status_name;
      place.querySelector("[data-position]").textContent = state.position;
      if (state.is_final) {
        arrive();
        return;
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    schedule();
  }

  function schedule() {
    window.clearTimeout(timer);
    if (!document.hidden) timer = window.setTimeout(poll, awaited.seconds * 1000 * Math.min(1 + failures, 10));
  }

  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    if (!document.hidden) poll();
  });
  schedule();
})();
