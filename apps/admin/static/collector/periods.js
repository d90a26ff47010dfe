"use strict";
// The periods of a form follow its granularity: native inputs for days and months, selects for quarters and
// years. A period that was chosen is converted by the rules of apps/admin/pages/inputs/periods.py.
(() => {
  const holder = document.getElementById("periods");
  const probe = Object.assign(document.createElement("input"), { type: "month" });
  if (probe.type === "month") document.querySelectorAll("[data-no-calendar]").forEach((hint) => { hint.hidden = true; });
  if (holder) document.querySelectorAll("form[data-periods]").forEach((form) => follow(form, JSON.parse(holder.textContent)));

// The form names the fields of its periods.
function follow(form, facts) {
  const granularity = form.elements.namedItem("granularity");
  const names = form.dataset.periods.split(" ");
  const order = ["day", "month", "quarter", "year"];
  const types = { day: "date", month: "month" };
  const patterns = { day: "[0-9]{4}-[0-9]{2}-[0-9]{2}", month: "[0-9]{4}-[0-9]{2}" };
  const forms = {
    day: /^(\d{4})(-?)(\d{2})\2(\d{2})$/, month: /^(\d{4})-?(\d{2})$/, quarter: /^(\d{4})-?[Qq]([1-4])$/, year: /^(\d{4})$/,
  };
  const today = parse(facts.today);

  // A period is its granularity and its first day, at noon in UTC.
  function at(kind, year, month, day) {
    return { kind, first: new Date(Date.UTC(year, month, day, 12)) };
  }

  function parse(text) {
    const kind = order.find((one) => forms[one].test(text));
    if (!kind) return null;
    const parts = forms[kind].exec(text);
    const year = Number(parts[1]);
    if (kind === "day") {
      const found = at(kind, year, Number(parts[3]) - 1, Number(parts[4]));
      return found.first.getUTCMonth() === Number(parts[3]) - 1 ? found : null;
    }
    if (kind === "month") return Number(parts[2]) >= 1 && Number(parts[2]) <= 12 ? at(kind, year, Number(parts[2]) - 1, 1) : null;
    return at(kind, year, kind === "quarter" ? (Number(parts[2]) - 1) * 3 : 0, 1);
  }

  function periodOf(date, kind) {
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    if (kind === "day") return at(kind, year, month, date.getUTCDate());
    if (kind === "month") return at(kind, year, month, 1);
    return at(kind, year, kind === "quarter" ? Math.floor(month / 3) * 3 : 0, 1);
  }

  function shift({ kind, first }, count) {
    const months = { day: 0, month: 1, quarter: 3, year: 12 }[kind] * count;
    const days = kind === "day" ? count : 0;
    return at(kind, first.getUTCFullYear(), first.getUTCMonth() + months, first.getUTCDate() + days);
  }

  function lastDayOf(period) {
    return new Date(shift(period, 1).first.getTime() - 24 * 60 * 60 * 1000);
  }

  function text({ kind, first }) {
    const iso = first.toISOString();
    if (kind === "quarter") return `${iso.slice(0, 4)}-Q${Math.floor(first.getUTCMonth() / 3) + 1}`;
    return iso.slice(0, { day: 10, month: 7, year: 4 }[kind]);
  }

  const countFrom = (start, end) => {
    const days = (end.first - start.first) / (24 * 60 * 60 * 1000);
    const months = (end.first.getUTCFullYear() - start.first.getUTCFullYear()) * 12 + end.first.getUTCMonth() - start.first.getUTCMonth();
    return { day: days, month: months, quarter: months / 3, year: months / 12 }[end.kind] + 1;
  };

  function converted(period, kind, isStart) {
    if (period.kind === kind) return period;
    const first = periodOf(period.first, kind);
    if (isStart || order.indexOf(kind) > order.indexOf(period.kind)) return first;
    const last = periodOf(lastDayOf(period), kind);
    const closed = shift(periodOf(today.first, kind), -1);
    if (closed.first < first.first) return first;
    return closed.first < last.first ? closed : last;
  }

  // The new values by name. What is blank stays blank, and what is no period stays to be corrected.
  function valuesFor(kind) {
    const periods = Object.fromEntries(names.map((name) => [name, parse(controlOf(name).value.trim())]));
    const isConverted = Object.values(periods).some((one) => one && one.kind !== kind);
    for (const name of names) if (periods[name]) periods[name] = converted(periods[name], kind, name === "from");
    const { from, to } = periods;
    const limit = facts.limits[kind];
    if (isConverted && from && to && limit && countFrom(from, to) > limit) periods.from = shift(to, 1 - facts.lengths[kind]);
    return Object.fromEntries(names.map((name) => [name, periods[name] ? text(periods[name]) : controlOf(name).value]));
  }

  const controlOf = (name) => form.elements.namedItem(name);

  function makeSelect(kind, value, blank) {
    const select = document.createElement("select");
    select.append(new Option(blank, ""));
    const now = periodOf(today.first, kind);
    const chosen = value ? parse(value) : now;
    const newest = chosen.first > now.first ? chosen : now;
    for (let year = newest.first.getUTCFullYear(); year >= facts.firstYear; year -= 1) {
      if (kind === "year") {
        select.append(new Option(String(year)));
        continue;
      }
      const group = Object.assign(document.createElement("optgroup"), { label: String(year) });
      for (let quarter = 4; quarter >= 1; quarter -= 1) {
        if (at(kind, year, (quarter - 1) * 3, 1).first <= newest.first) group.append(new Option(`${year}-Q${quarter}`));
      }
      select.append(group);
    }
    select.value = value;
    return select;
  }

  function makeInput(kind, value) {
    const input = document.createElement("input");
    input.type = types[kind] || "text";
    input.maxLength = 40;
    input.autocomplete = "off";
    input.placeholder = text(periodOf(today.first, granularity.value));
    if (patterns[kind]) input.pattern = patterns[kind]; // for browsers without a native control
    input.value = value;
    if (input.value !== value) { // such as month 13, which a native input does not show
      input.type = "text";
      input.removeAttribute("pattern");
      input.value = value;
    }
    return input;
  }

  function adapt() {
    const kind = granularity.value;
    if (!order.includes(kind)) return; // an unknown one, which the server has refused
    const values = valuesFor(kind);
    for (const name of names) {
      const old = controlOf(name);
      const period = parse(values[name]);
      const fits = values[name] === "" || (period && period.kind === kind);
      const isSelect = fits && !types[kind];
      const control = isSelect ? makeSelect(kind, values[name], old.dataset.blank) : makeInput(fits ? kind : "text", values[name]);
      control.id = old.id;
      control.name = name;
      control.dataset.blank = old.dataset.blank;
      for (const one of ["aria-invalid", "aria-describedby"]) {
        if (old.hasAttribute(one)) control.setAttribute(one, old.getAttribute(one));
      }
      old.replaceWith(control);
    }
  }

  granularity.addEventListener("change", adapt);
  // A browser that goes back restores the granularity that was chosen, over that of the page.
  if (![...granularity.selectedOptions].every((option) => option.defaultSelected)) adapt();
}
})();
