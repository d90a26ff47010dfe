// Refreshes the progress of sync tasks without a reload, until their last collection has ended.
// Without it the numbers do not change.
(() => {
    "use strict";

    const PAUSE_MS = 2000;
    const LONGEST_PAUSE_MS = 30000;
    const MOST_IDS = 100;
    // After a refresh of n seconds, the next one comes 5 n later: a large run takes long to count.
    const PAUSE_SHARE = 5;
    const shown = new Map();
    let pause = PAUSE_MS;
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
            const piece = run.pieces && run.pieces[part.dataset.piece];
            // A piece that has the focus is left alone: a keyboard user would lose the place in it.
            if (piece && piece !== shown.get(part.dataset.piece) && !part.contains(document.activeElement)) {
                const scroll = part.querySelector(".collector-scroll");
                const left = scroll ? scroll.scrollLeft : 0;
                shown.set(part.dataset.piece, piece);
                part.outerHTML = piece;
                if (left > 0) {
                    const now = document.querySelector(`[data-run="${run.id}"][data-piece="${part.dataset.piece}"] .collector-scroll`);
                    if (now) {
                        now.scrollLeft = left;
                    }
                }
            }
            if (part.dataset.live) {
                part.dataset.running = run.is_changing ? "yes" : "no";
            }
        }
        // The page of the run has more than these fields: its end, its error message and other buttons.
        if (!run.is_changing && document.querySelector(`[data-page-of="${run.id}"]`)) {
            window.location.reload();
        }
    }

    // Shows why the numbers do not change: "lost" without a connection, "out" when the session has ended.
    function showContact(state) {
        for (const note of document.querySelectorAll("[data-contact]")) {
            note.hidden = state === "";
            note.dataset.state = state;
        }
    }

    async function refresh() {
        const parts = running();
        if (parts.length === 0) {
            return;
        }
        const ids = parts.map((part) => part.dataset.run);
        try {
            const address = new URL(parts[0].dataset.live, window.location.origin);
            if (address.searchParams.has("pieces")) {
                // The filters of the page hold for its pieces, too.
                new URLSearchParams(window.location.search).forEach((value, name) => address.searchParams.set(name, value));
                address.searchParams.set("pieces", "yes");
            }
            address.searchParams.set("ids", ids.join(","));
            const began = performance.now();
            const response = await fetch(address, {
                credentials: "same-origin",
                headers: { Accept: "application/json" },
            });
            // A user who is logged out or lost the permission would be redirected to the login every time.
            if (response.redirected || response.status === 403) {
                showContact("out");
                return;
            }
            if (!response.ok) {
                throw new Error(`status ${response.status}`);
            }
            const { runs } = await response.json();
            pause = Math.max(PAUSE_MS, (performance.now() - began) * PAUSE_SHARE);
            const found = new Set(runs.map((run) => run.id));
            runs.forEach(show);
            // A deleted run is not requested again.
            parts.filter((part) => !found.has(part.dataset.run)).forEach((part) => { part.dataset.running = "no"; });
            failures = 0;
            showContact("");
        } catch {
            failures += 1;
            showContact("lost");
        }
        schedule();
    }

    function schedule() {
        clearTimeout(timer);
        if (!document.hidden && running().length > 0) {
            timer = setTimeout(refresh, Math.min(pause * 2 ** failures, LONGEST_PAUSE_MS));
        }
    }

    document.addEventListener("visibilitychange", () => {
        if (document.hidden) {
            clearTimeout(timer);
        } else {
            refresh();
        }
    });
    document.addEventListener("DOMContentLoaded", schedule);
})();
