"use strict";
// Searches the list of categories, counts the selected ones, and offers native inputs for days and months.
(() => {
  const form = document.getElementById("work");
  if (!form) return;

  const list = form.querySelector(".cp-pick-list");
  const search = form.querySelector("[data-search]");
  const count = form.querySelector("[data-count]");
  const rows = [...list.querySelectorAll("li")];
  search.closest("label").hidden = false;

  function showMatches() {
    const text = search.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(text);
    // A child that matches is shown within its parent, and the children of a parent that matches are shown.
    for (const row of rows) {
      const own = row.querySelector("label").textContent.toLowerCase();
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

  const latest = JSON.parse(document.getElementById("latest-periods").textContent);
  const granularity = form.elements.granularity;
  const bounds = [form.elements.from, form.elements.to];
  const types = { day: "date", month: "month" };
  const forms = { day: /^\d{4}-\d{2}-\d{2}$/, month: /^\d{4}-\d{2}$/, quarter: /^\d{4}-[Qq][1-4]$/, year: /^\d{4}$/ };

  function adapt(isChanged) {
    const wanted = granularity.value;
    for (const input of bounds) {
      const typed = input.value;
      const fits = typed === "" || forms[wanted].test(typed);
      if (!fits && !isChanged) continue; // what was typed wrongly stays to be corrected
      const value = fits ? typed : latest[wanted];
      input.type = types[wanted] || "text";
      input.value = value;
      if (input.value !== value) { // such as month 13, which a native input does not show
        input.type = "text";
        input.value = value;
      }
      input.placeholder = latest[wanted];
    }
  }

  granularity.addEventListener("change", () => adapt(true));
  adapt(false);
})();
