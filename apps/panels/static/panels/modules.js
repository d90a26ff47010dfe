// Lets users drag the modules into another order. Dropping a module saves the new order.
document.addEventListener("DOMContentLoaded", () => {
  const list = document.querySelector("[data-modules]");
  const form = document.querySelector("form[data-order]");
  if (!list || !form) return;
  const order = () => [...list.children].map((row) => row.dataset.module).join(",");
  const before = order();
  let dragged = null;

  list.addEventListener("dragstart", (event) => {
    dragged = event.target.closest("[data-module]");
    if (!dragged) return;
    dragged.classList.add("is-dragged");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.module);
  });
  list.addEventListener("dragover", (event) => {
    const row = event.target.closest("[data-module]");
    if (!dragged) return;
    event.preventDefault();
    if (!row || row === dragged) return;
    const box = row.getBoundingClientRect();
    const isLowerHalf = event.clientY > box.top + box.height / 2;
    list.insertBefore(dragged, isLowerHalf ? row.nextSibling : row);
  });
  list.addEventListener("drop", (event) => event.preventDefault());
  list.addEventListener("dragend", () => {
    if (!dragged) return;
    dragged.classList.remove("is-dragged");
    dragged = null;
    if (order() === before) return;
    form.elements.order.value = order();
    form.submit();
  });
});
