"use strict";
// The range of a form follows its granularity, and has native inputs for days and months.
(() => {
  const form = document.querySelector("form[data-periods]");
  if (!form) return;

  // By granularity, the first and the last period of the default range.
  const defaults = JSON.parse(document.getElementById("default-periods").textContent);
  const granularity = form.elements.namedItem("granularity");
  const bounds = ["from", "to"].map((name) => form.elements.namedItem(name));
  const types = { day: "date", month: "month" };
  const forms = { day: /^\d{4}-\d{2}-\d{2}$/, month: /^\d{4}-\d{2}$/, quarter: /^\d{4}-[Qq][1-4]$/, year: /^\d{4}$/ };

  function adapt(isChanged) {
    const wanted = granularity.value;
    if (!defaults[wanted]) return; // an unknown one, which the server has refused
    bounds.forEach((input, end) => {
      const typed = input.value;
      const fits = typed === "" || forms[wanted].test(typed);
      if (!fits && !isChanged) return; // what was typed wrongly stays to be corrected
      const value = fits ? typed : defaults[wanted][end];
      input.type = types[wanted] || "text";
      input.value = value;
      if (input.value !== value) { // such as month 13, which a native input does not show
        input.type = "text";
        input.value = value;
      }
      input.placeholder = defaults[wanted][end];
    });
  }

  granularity.addEventListener("change", () => adapt(true));
  adapt(false);
})();
