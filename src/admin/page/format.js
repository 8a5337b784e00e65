// Numbers for people. Bytes are in powers of 1024, as in the broker's own settings.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const whole = new Intl.NumberFormat("en");

/** Bytes, two or three digits: `812 B`, `4.0 MiB`, `37 GiB`. */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Bytes a second. A rate that is not known yet is a dash. */
export function rate(perSecond) {
  return perSecond === null ? "–" : `${bytes(perSecond)}/s`;
}

/** A whole number with its thousands apart. */
export function count(number) {
  return whole.format(number);
}

/** A time span: `340 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A share of one, as whole percent. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}
