/* What keeps people from using the theme's and Django's own parts of a page, made good. */
"use strict";

function fixAccessibility() {
    // Django's filter of two lists gives its hint a name without a role that could carry it.
    for (const hint of document.querySelectorAll("span.help-tooltip[aria-label]")) {
        hint.setAttribute("role", "img");
    }
    // The theme's scroll areas would all be read out as one more region, in English.
    for (const area of document.querySelectorAll(".simplebar-content-wrapper")) {
        area.removeAttribute("role");
        area.removeAttribute("aria-label");
    }
}

// After all that builds the page when it is loaded.
addEventListener("load", () => setTimeout(fixAccessibility));
