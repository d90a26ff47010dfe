"use strict";
// Searches the list of categories, and counts the selected ones.
(() => {
  const form = document.getElementById("work");
  if (!form) return;

  const list = form.querySelector(".cp-pick-list");
  const search = form.querySelector("[data-search]");
  const count = form.querySelector("[data-count]");
  search.closest("label").hidden = false;

  const { comparable, wordsOf } = window.collectorPicker; // one way to find a category on all pages

  // The names of a child are found beside those of its parent, so a parent that matches shows all its children.
  function showMatches() {
    const words = wordsOf(search.value);
    for (const root of list.children) {
      const own = comparable(root.querySelector("label").textContent);
      const children = [...root.querySelectorAll("li")];
      for (const child of children) {
        const text = `${own} ${comparable(child.textContent)}`;
        child.hidden = !words.every((word) => text.includes(word));
      }
      root.hidden = !words.every((word) => own.includes(word)) && children.every((child) => child.hidden);
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
