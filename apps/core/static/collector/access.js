/* Accessibility fixes for the theme's and Django's own parts of a page. */
"use strict";

function fixAccessibility() {
    // Django's two-list selector gives its hint a label, but no role that allows one.
    for (const hint of document.querySelectorAll("span.help-tooltip[aria-label]")) {
        hint.setAttribute("role", "img");
    }
    // Screen readers would announce each scroll area of the theme as another region, in English.
    for (const area of document.querySelectorAll(".simplebar-content-wrapper")) {
        area.removeAttribute("role");
        area.removeAttribute("aria-label");
    }
}

// After all other load handlers, which build the page.
addEventListener("load", () => setTimeout(fixAccessibility));
