"use strict";
// Calls `ask` again and again while the page is visible. It returns after how many seconds to ask again, or
// null to stop. After an error the pauses grow.
window.collectorPoll = (ask, firstSeconds, onLost = () => {}) => {
  let timer = null;
  let failures = 0;
  let seconds = firstSeconds;
  let isAsking = false;
  let isWanted = false;
  let isStopped = false;

  async function run() {
    window.clearTimeout(timer);
    if (isStopped) return;
    if (isAsking) {
      isWanted = true;
      return;
    }
    isAsking = true;
    try {
      seconds = await ask();
      failures = 0;
    } catch {
      failures += 1;
      onLost();
    }
    isAsking = false;
    if (isWanted) {
      isWanted = false;
      run();
    } else {
      schedule();
    }
  }

  function schedule() {
    window.clearTimeout(timer);
    if (isStopped || seconds === null || document.hidden) return;
    timer = window.setTimeout(run, seconds * 1000 * Math.min(1 + failures, 6));
  }

  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    if (!document.hidden && seconds !== null) run();
  });
  schedule();
  return { now: run, stop: () => { isStopped = true; window.clearTimeout(timer); } };
};
