// The few things that every view does with elements. Text goes in as text only: names come from
// peers, who may be hostile.

/** The element with this ID; the page has it. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with a class and children (elements or text). */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Characters that are not seen but change how others are: controls, bidirectional marks, separators. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A stranger's text, with what is hidden in it spelled out, as the broker's own tools show it. */
export function shown(text) {
  return text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/**
 * Sets text where it differs, so that selections and screen readers are left in peace. Nothing of it
 * is hidden.
 */
export function setText(element, text) {
  const safe = shown(text);
  if (element.textContent !== safe) element.textContent = safe;
}

/** A bar with words beside it. */
export class Bar {
  constructor(className, label) {
    this.inner = make("span", "bar-inner");
    this.words = make("span", "bar-words");
    this.track = make("span", "bar-track", this.inner);
    this.label = label;
    this.element = make("span", `bar ${className}`, this.track, this.words);
    this.track.setAttribute("role", "meter");
    this.track.setAttribute("aria-valuemin", "0");
    this.track.setAttribute("aria-valuemax", "100");
    this.track.setAttribute("aria-label", label);
  }

  /** `share` is of one; `level` is "", "warn" or "bad". */
  show(share, words, level) {
    const percent = Math.round(100 * Math.min(1, Math.max(0, share)));
    this.inner.style.width = `${percent}%`;
    this.track.setAttribute("aria-valuenow", String(percent));
    this.track.setAttribute("aria-valuetext", words);
    this.track.dataset.level = level;
    setText(this.words, words);
  }
}

/**
 * Rows that stay the same elements as long as their keys stay, so that focus and hover survive an
 * update. `make(item)` gives an object with an `element` and `show(item)`.
 */
export class KeyedRows {
  constructor(parent, makeRow) {
    this.parent = parent;
    this.makeRow = makeRow;
    this.rows = new Map();
  }

  /** Shows these items, in this order. */
  show(items, keyOf) {
    const kept = new Map();
    for (const item of items) {
      const key = keyOf(item);
      const row = this.rows.get(key) ?? this.makeRow(item);
      row.show(item);
      kept.set(key, row);
    }
    for (const [key, row] of this.rows) {
      if (!kept.has(key)) row.element.remove();
    }
    let place = this.parent.firstElementChild;
    for (const row of kept.values()) {
      if (row.element === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row.element, place);
    }
    this.rows = kept;
  }
}
