// Asks for /stats once a second, for as long as the page lives.

const EVERY_MS = 1000;
const HIDDEN_EVERY_MS = 5000;
const RETRY_MAX_MS = 5000;
const PATIENCE_MS = 8000;

/** Calls `onStats(stats, asked)` for each answer, with when it was asked for, and `onFailure(text)` for each that does not come. */
export async function pollForEver(onStats, onFailure) {
  let wait = EVERY_MS;
  for (;;) {
    const failure = await ask(onStats);
    if (failure === null) {
      wait = document.hidden ? HIDDEN_EVERY_MS : EVERY_MS;
    } else {
      onFailure(failure);
      wait = Math.min(RETRY_MAX_MS, wait * 1.5);
    }
    await pause(wait);
  }
}

async function ask(onStats) {
  const asked = performance.now();
  let stats;
  try {
    const answer = await fetch("stats", {
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!answer.ok) return `The broker answers with ${(await answer.text()).trim()}`;
    stats = await answer.json();
  } catch (error) {
    if (error.name === "TimeoutError") return "The broker does not answer";
    return "No connection to the broker";
  }
  onStats(stats, asked);
  return null;
}

/** Waits; ends early when the page comes to the front. */
function pause(ms) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    const look = () => document.hidden || end();
    const timer = setTimeout(end, ms);
    document.addEventListener("visibilitychange", look);
  });
}
