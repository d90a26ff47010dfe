"use strict";
// Closes the filters on a phone: they would fill the first screen.
document.querySelectorAll("details[data-may-close]").forEach((filters) => {
  if (window.matchMedia("(max-width: 40rem)").matches) filters.open = false;
});
