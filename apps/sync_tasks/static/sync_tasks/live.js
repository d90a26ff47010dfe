// Moves the progress bars of running sync tasks without a reload; without it the page shows fixed numbers.
(() => {
    "use strict";

    const PAUSE_MS = 2000;
    const LONGEST_PAUSE_MS = 30000;
    const MOST_IDS = 100;
    let timer = null;
    let failures = 0;

    const running = () => [...document.querySelectorAll('[data-live][data-running="yes"]')].slice(0, MOST_IDS);

    function show(run) {
        for (const part of document.querySelectorAll(`[data-run="${run.id}"]`)) {
            const fields = part.dataset.field ? [part] : part.querySelectorAll("[data-field]");
            for (const field of fields) {
                if (field.dataset.field in run) {
                    field.textContent = run[field.dataset.field];
                    if (field.dataset.colour) {
                        field.dataset.colour = run.colour;
                    }
                }
            }
            const bar = part.querySelector("[data-bar]");
            if (bar) {
                bar.style.width = `${run.percent}%`;
                bar.parentElement.setAttribute("aria-valuenow", run.percent);
            }
            if (part.dataset.piece && run.pieces) {
                part.outerHTML = run.pieces[part.dataset.piece];
            }
            if (part.dataset.live) {
                part.dataset.running = run.is_running ? "yes" : "no";
            }
        }
        // Its own page has more than these fields: the end, the reason, and other buttons.
        if (!run.is_running && document.querySelector(`[data-page-of="${run.id}"]`)) {
            window.location.reload();
        }
    }

    // Says that the numbers stand still: "lost" while nobody answers, "out" when the session is over.
    function tell(state) {
        for (const note of document.querySelectorAll("[data-contact]")) {
            note.hidden = state === "";
            note.dataset.state = state;
        }
    }

    async function renew() {
        const parts = running();
        if (parts.length === 0) {
            return;
        }
        const ids = parts.map((part) => part.dataset.run);
        try {
            const address = new URL(parts[0].dataset.live, window.location.origin);
            address.searchParams.set("ids", ids.join(","));
            const answer = await fetch(address, {
                credentials: "same-origin",
                headers: { Accept: "application/json" },
            });
            // Who is logged out, or may not look any more, would only be sent to the login again and again.
            if (answer.redirected || answer.status === 403) {
                tell("out");
                return;
            }
            if (!answer.ok) {
                throw new Error(`status ${answer.status}`);
            }
            const told = await answer.json();
            const seen = new Set(told.runs.map((run) => run.id));
            told.runs.forEach(show);
            // A run that was deleted meanwhile is not asked for again.
            parts.filter((part) => !seen.has(part.dataset.run)).forEach((part) => { part.dataset.running = "no"; });
            failures = 0;
            tell("");
        } catch {
            failures += 1;
            tell("lost");
        }
        plan();
    }

    function plan() {
        clearTimeout(timer);
        if (!document.hidden && running().length > 0) {
            timer = setTimeout(renew, Math.min(PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS));
        }
    }

    document.addEventListener("visibilitychange", () => {
        if (document.hidden) {
            clearTimeout(timer);
        } else {
            renew();
        }
    });
    document.addEventListener("DOMContentLoaded", plan);
})();
