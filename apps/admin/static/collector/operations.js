"use strict";
// Searches the list of categories, and counts the selected ones.
(() => {
  const form = document.getElementById("work");
  if (!form) return;

  const list = form.querySelector(".cp-pick-list");
  const search = form.querySelector("[data-search]");
  const count = form.querySelector("[data-count]");
  const rows = [...list.querySelectorAll("li")];
  search.closest("label").hidden = false;

  const { comparable } = window.collectorPicker; // one way to find a category on all pages

  function showMatches() {
    const text = comparable(search.value);
    for (const row of rows) row.hidden = !comparable(row.textContent).includes(text);
    // A child that matches is shown within its parent, and the children of a parent that matches are shown.
    for (const row of rows) {
      const own = comparable(row.querySelector("label").textContent);
      if (text && own.includes(text)) row.querySelectorAll("li").forEach((child) => { child.hidden = false; });
    }
  }

  function showCount() {
    const number = list.querySelectorAll("input:checked").length;
    const template = number === 1 ? count.dataset.one : count.dataset.many;
    count.textContent = number ? template.replace("{count}", number) : "";
  }

  search.addEventListener("input", showMatches);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // it would send the form
  });
  list.addEventListener("change", showCount);
  showCount();
})();
