"use strict";
// What is chosen beside the figures is shown without a reload: the same address is asked for, and its figures
// replace those on the page.
(() => {
  const PART = "[data-figures]";
  // What else on the page keeps the choices: the links to other periods and the filters.
  const KEEPERS = [".cp-steps", ".cp-filters form > [data-kept]"];
  let last = null; // the request that counts

  function addressOf(form) {
    const chosen = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") chosen.append(name, value);
    return `${form.getAttribute("action")}?${chosen}`; // not form.action, which is the field of that name
  }

  async function show(address, isBack) {
    const request = new AbortController();
    if (last) last.abort();
    last = request;
    const part = document.querySelector(PART);
    part.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address, { credentials: "same-origin", signal: request.signal });
      if (!response.ok || response.redirected) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const found = page.querySelector(PART);
      if (!found) throw new Error("no figures");
      KEEPERS.forEach((selector) => follow(selector, page));
      replace(part, document.adoptNode(found));
      if (!isBack) window.history.pushState({ figures: true }, "", address);
      document.dispatchEvent(new CustomEvent("collector:figures", { detail: { address } }));
    } catch (error) {
      if (error.name !== "AbortError") window.location.assign(address);
    }
  }

  function follow(selector, page) {
    const mine = document.querySelector(selector);
    const theirs = page.querySelector(selector);
    if (mine && theirs) mine.replaceWith(document.adoptNode(theirs));
  }

  // The focus and the places that tables are scrolled to stay.
  function replace(part, found) {
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...part.querySelectorAll("[data-table]")].map((one) => [one.dataset.table, one.parentElement]);
    const places = scrolled.map(([name, holder]) => [name, holder.scrollLeft, holder.scrollTop]);
    window.collectorCharts.release(part);
    part.replaceWith(found);
    prepare(found);
    window.collectorCharts.drawAll(window.collectorCharts.read("charts"));
    for (const [name, left, top] of places) {
      const table = found.querySelector(`[data-table="${CSS.escape(name)}"]`);
      if (table) table.parentElement.scrollTo(left, top);
    }
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
  }

  // A select shows its choice at once, so the button beside it is for pages without scripts.
  function prepare(part) {
    part.querySelectorAll("form[data-now] button").forEach((button) => { button.hidden = true; });
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-now]");
    if (form) show(addressOf(form));
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-now]")) return;
    event.preventDefault();
    show(addressOf(event.target));
  });
  window.addEventListener("popstate", () => {
    if (document.querySelector(PART)) show(window.location.href, true);
  });
  const first = document.querySelector(PART);
  if (first) prepare(first);
})();
