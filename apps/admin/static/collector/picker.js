"use strict";
// Makes the selects of categories searchable: the combobox with a listbox of the ARIA authoring practices.
// The options of the select are the data, so it works for every tree, and without scripts the select stays.
window.collectorPicker = (() => {
  // One form for all spellings of a text: full width, letter case, ё as е, spaces.
  const comparable = (text) => text.normalize("NFKC").toLowerCase().normalize("NFKC").replace(/ё/g, "е").replace(/\s+/g, " ").trim();
  // A pasted title or path has signs between its names: 建筑和装修>家用照明 · Бытовое освещение (17028941).
  const BETWEEN = /[\s>·,;()、]+/;

  const wordsOf = (text) => comparable(text).split(BETWEEN).filter(Boolean);

  function readOptions(select) {
    return [...select.options].map((option) => ({
      value: option.value,
      title: option.textContent,
      parent: option.dataset.parent || "",
      own: comparable(`${option.textContent} ${option.value}`),
      above: comparable(option.dataset.parent || ""),
    }));
  }

  // The options in which every word is found: those that begin with the text, then those that hold it, then
  // those below a parent that holds it.
  function find(options, text) {
    const words = wordsOf(text);
    if (!words.length) return options;
    const places = [[], [], []];
    for (const option of options) {
      if (words.every((word) => option.own.includes(word))) {
        const isFirst = option.value === words[0] || option.own.split(" · ").some((name) => name.startsWith(words[0]));
        places[isFirst ? 0 : 1].push(option);
      } else if (words.every((word) => option.own.includes(word) || option.above.includes(word))) {
        places[2].push(option);
      }
    }
    return places.flat();
  }

  // A combobox in a field. `onChoose` is called with the chosen option; `shown` returns the text at rest.
  function makeCombobox(field, input, options, { onChoose, shown, chosenValue }) {
    const list = document.createElement("ul");
    const status = document.createElement("span");
    let found = [];
    let active = -1;

    list.id = `${input.id}-list`;
    list.className = "cp-picker-list";
    list.hidden = true;
    list.setAttribute("role", "listbox");
    list.setAttribute("translate", "no");
    list.setAttribute("aria-label", field.querySelector("label, legend").textContent);
    status.className = "cp-sr";
    status.setAttribute("role", "status");
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", list.id);
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-haspopup", "listbox");
    input.autocomplete = "off";
    input.spellcheck = false;
    input.after(list, status);

    const isOpen = () => !list.hidden;
    const isTyped = () => input.value !== shown();

    function rowOf(option, index) {
      const row = document.createElement("li");
      row.id = `${list.id}-${index}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(option.value === chosenValue()));
      row.dataset.index = index;
      row.append(option.title);
      const below = [option.parent, /^\d+$/.test(option.value) ? option.value : ""].filter(Boolean).join(" · ");
      if (below) {
        const small = document.createElement("small");
        small.textContent = below;
        row.append(" ", small);
      }
      return row;
    }

    function activate(index) {
      if (list.children[active]) list.children[active].classList.remove("is-active");
      active = found.length ? Math.max(0, Math.min(index, found.length - 1)) : -1;
      const row = list.children[active];
      if (!row) {
        input.removeAttribute("aria-activedescendant");
        return;
      }
      row.classList.add("is-active");
      input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    }

    function open(text) {
      found = find(options, text);
      list.replaceChildren(...found.map(rowOf));
      list.hidden = !found.length;
      active = -1;
      input.setAttribute("aria-expanded", String(isOpen()));
      const { pickerNone: none, pickerOne: one, pickerMany: many } = field.dataset;
      status.textContent = found.length === 1 ? one : (found.length ? many.replace("{count}", found.length) : none);
      input.setCustomValidity(found.length ? "" : none);
      const chosen = found.findIndex((option) => option.value === chosenValue());
      activate(text ? 0 : chosen);
    }

    function close() {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
      status.textContent = "";
    }

    function rest() {
      close();
      input.setCustomValidity("");
      input.value = shown();
    }

    function choose(option) {
      onChoose(option);
      rest();
    }

    input.addEventListener("input", () => open(input.value));
    // The name at rest is replaced by what is typed, wherever the click has put the caret.
    function selectAtRest() { if (!isTyped()) input.select(); }

    input.addEventListener("click", () => {
      selectAtRest();
      if (!isOpen()) open(isTyped() ? input.value : "");
    });
    input.addEventListener("focus", selectAtRest);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return; // the key belongs to the input method: it chooses characters
      const steps = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + 10, PageUp: active - 10, Home: 0, End: found.length - 1 };
      if (!isOpen()) {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
          event.preventDefault();
          open(isTyped() ? input.value : "");
          if (active < 0) activate(event.key === "ArrowDown" ? 0 : found.length - 1);
        } else if (event.key === "Escape" && isTyped()) {
          event.preventDefault();
          rest();
        }
        return;
      }
      if (event.key in steps) {
        event.preventDefault();
        activate(steps[event.key]);
      } else if (event.key === "Enter") {
        event.preventDefault(); // it would send the form
        if (found[active]) choose(found[active]);
      } else if (event.key === "Escape") {
        event.preventDefault();
        rest();
      }
    });
    // A text that was typed and left chooses what was marked in the list; a text without any match stays.
    input.addEventListener("blur", () => {
      if (isOpen() && isTyped() && comparable(input.value) && found[active]) choose(found[active]);
      else if (!isTyped() || !comparable(input.value) || found.length) rest();
      else close();
    });
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the input keeps the focus
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) choose(found[Number(row.dataset.index)]);
    });
    input.value = shown();
  }

  function pickOne(select) {
    const options = readOptions(select);
    const input = document.createElement("input");
    input.type = "text";
    input.id = select.id;
    select.id = `${select.id}-select`;
    for (const name of ["aria-invalid", "aria-describedby"]) {
      if (select.hasAttribute(name)) input.setAttribute(name, select.getAttribute(name));
    }
    select.hidden = true;
    select.before(input);
    makeCombobox(select.closest("[data-picker-many]"), input, options, {
      chosenValue: () => select.value,
      shown: () => (select.selectedOptions[0] ? select.selectedOptions[0].textContent : ""),
      onChoose(option) {
        if (select.value === option.value) return;
        select.value = option.value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
      },
    });
  }

  function pickMany(field) {
    const { pickerSource: source, pickerName: name, pickerLimit: limit } = field.dataset;
    const select = field.closest("form").querySelector(`select[name="${source}"]`);
    const input = field.querySelector("input[id]");
    const chosen = field.querySelector("ul");
    const known = new Map(readOptions(select).map((option) => [option.value, option]));
    const values = () => [...chosen.querySelectorAll("input")].map((box) => box.value);
    const limitNow = () => { input.disabled = values().length >= Number(limit); };

    input.removeAttribute("name"); // only the chosen ones are sent
    chosen.addEventListener("change", (event) => {
      event.target.closest("li").remove();
      limitNow();
      input.focus();
    });
    makeCombobox(field, input, [...known.values()].filter((option) => /^\d+$/.test(option.value)), {
      chosenValue: () => null,
      shown: () => "",
      onChoose(option) {
        if (values().includes(option.value) || select.value === option.value) return;
        const row = document.createElement("li");
        const label = document.createElement("label");
        const box = Object.assign(document.createElement("input"), { type: "checkbox", name, value: option.value, checked: true });
        label.append(box, " ", option.title);
        row.append(label);
        chosen.append(row);
        limitNow();
      },
    });
    limitNow();
  }

  document.querySelectorAll("[data-picker-source]").forEach(pickMany);
  document.querySelectorAll("select[data-picker]").forEach(pickOne);
  return { comparable, wordsOf };
})();
