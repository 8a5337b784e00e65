// The bytes of one stream in a terminal, as they come. The terminal only shows: nothing that a
// stream holds can leave it, and nothing can be typed.

import { FitAddon } from "./vendor/xterm-addon-fit-0.11.0/addon-fit.mjs";
import { Terminal } from "./vendor/xterm-6.0.0/xterm.mjs";
import { byId, setText } from "./dom.js";
import { bytes, count } from "./format.js";

const SCROLLBACK_LINES = 5000;

/** Bytes that the terminal has not shown yet: above it the stream is let go, below it taken up. */
const WAITING_BYTES_MAX = 4 << 20;
const WAITING_BYTES_RESUME = 256 << 10;

/** Until a tail that was refused is asked for again. */
const RETRY_MS = 3000;

/** The commands of a stream's escape sequences that are not for this page: titles, colours of the
 * palette, links, the clipboard, notifications. */
const REFUSED_OSC = [0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 17, 19, 52, 104, 110, 111, 112, 777, 1337];

/** The tail of the stream that is shown. */
export class Tail {
  constructor() {
    this.source = null;
    this.state = byId("tail-state");
    this.pauseButton = byId("tail-pause");
    this.pauseButton.addEventListener("click", () => this.togglePause());
    byId("tail-end").addEventListener("click", () => this.terminal?.scrollToBottom());
    // What was written for another stream does not count any more.
    this.generation = 0;
    this.close();
  }

  /** Starts at the oldest byte that the stream has. */
  open(stream) {
    this.close();
    this.prepareTerminal();
    this.terminal.reset();
    if (stream.direction === "in") {
      this.tell("only its creator reads an input stream");
      return;
    }
    this.id = stream.id;
    this.pauseButton.disabled = false;
    this.connect("oldest");
  }

  close() {
    this.generation += 1;
    this.disconnect();
    this.id = null;
    this.offset = null;
    this.waiting = 0;
    this.lost = { gaps: 0, bytes: 0 };
    this.isPaused = false;
    this.isChoked = false;
    setText(this.pauseButton, "Pause");
    this.pauseButton.disabled = true;
    byId("tail-lost").hidden = true;
    this.tell("");
  }

  connect(from) {
    this.tell("connecting");
    const source = new EventSource(`streams/${encodeURIComponent(this.id)}/tail?from=${from}`);
    this.source = source;
    source.addEventListener("open", () => this.tellLive());
    source.addEventListener("message", (event) => this.take(event));
    source.addEventListener("lost", (event) => this.takeLost(event));
    source.addEventListener("end", () => this.takeEnd());
    source.addEventListener("error", () => {
      const isRefused = source.readyState === EventSource.CLOSED;
      if (isRefused) this.refusedAt = performance.now();
      this.tell(isRefused ? "refused, trying again" : "connection lost, trying again");
    });
  }

  disconnect() {
    this.source?.close();
    this.source = null;
    this.refusedAt = null;
  }

  /** Tries again what the broker has refused, as it does when too many look; not all the time. */
  retry() {
    if (this.refusedAt === null || performance.now() - this.refusedAt < RETRY_MS) return;
    this.disconnect();
    this.connect(this.offset ?? "oldest");
  }

  take(event) {
    const data = decodeBase64(event.data);
    this.offset = Number(event.lastEventId);
    this.write(data);
    this.tellLive();
  }

  takeLost(event) {
    const lost = Number(event.data);
    this.offset = Number(event.lastEventId);
    this.lost.gaps += 1;
    this.lost.bytes += lost;
    const { gaps } = this.lost;
    const notice = byId("tail-lost");
    notice.hidden = false;
    setText(
      notice,
      `This tail missed ${bytes(this.lost.bytes)} in ${count(gaps)} ` +
        `${gaps === 1 ? "gap" : "gaps"}, marked where the bytes are missing.`,
    );
    this.mark(`${count(lost)} bytes lost`, 43);
  }

  takeEnd() {
    this.disconnect();
    this.mark("end of stream", 47);
    this.pauseButton.disabled = true;
    this.tell("the stream has ended");
  }

  /** A line of our own: first whatever the stream left unfinished is cancelled. */
  mark(text, colour) {
    this.write(`\x18\x1b[0m\x1b[?1049l\r\n\x1b[30;${colour}m ${text} \x1b[0m\r\n`);
  }

  write(data) {
    const { generation } = this;
    const size = data.length;
    this.waiting += size;
    this.terminal.write(data, () => {
      if (generation === this.generation) this.written(size);
    });
    if (this.waiting > WAITING_BYTES_MAX && this.source !== null && this.offset !== null) {
      this.isChoked = true;
      this.disconnect();
    }
  }

  written(size) {
    this.waiting -= size;
    if (this.isChoked && !this.isPaused && this.waiting < WAITING_BYTES_RESUME) {
      this.isChoked = false;
      this.connect(this.offset);
    }
  }

  togglePause() {
    this.isPaused = !this.isPaused;
    setText(this.pauseButton, this.isPaused ? "Continue" : "Pause");
    if (this.isPaused) {
      this.disconnect();
      this.tell("paused");
    } else if (!this.isChoked) {
      this.connect(this.offset ?? "oldest");
    }
  }

  tellLive() {
    this.tell(this.offset === null ? "live" : `live, at ${count(this.offset)}`);
  }

  tell(text) {
    setText(this.state, text);
  }

  prepareTerminal() {
    if (this.terminal) return;
    this.terminal = new Terminal({
      convertEol: true,
      disableStdin: true,
      cursorBlink: false,
      cursorStyle: "bar",
      cursorInactiveStyle: "none",
      fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
      fontSize: 12,
      scrollback: SCROLLBACK_LINES,
      minimumContrastRatio: 4.5,
      theme: theme(),
    });
    for (const command of REFUSED_OSC) {
      this.terminal.parser.registerOscHandler(command, () => true);
    }
    this.terminal.attachCustomKeyEventHandler((event) => this.handleKey(event));
    const fit = new FitAddon();
    this.terminal.loadAddon(fit);
    const place = byId("tail");
    withAdoptedStyles(() => this.terminal.open(place));
    this.terminal.textarea.setAttribute("aria-label", "Live tail; arrow and page keys scroll");
    new ResizeObserver(() => fit.fit()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.terminal.options.theme = theme();
    });
  }

  /** Keys scroll; every other key, Tab before all, is the page's. */
  handleKey(event) {
    const scroll = {
      ArrowUp: () => this.terminal.scrollLines(-1),
      ArrowDown: () => this.terminal.scrollLines(1),
      PageUp: () => this.terminal.scrollPages(-1),
      PageDown: () => this.terminal.scrollPages(1),
      Home: () => this.terminal.scrollToTop(),
      End: () => this.terminal.scrollToBottom(),
    }[event.key];
    if (scroll && event.type === "keydown") {
      scroll();
      event.preventDefault();
    }
    return false;
  }
}

/** Terminals are dark in a dark page and light in a light one; the colours are the page's. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    background: colour("--inset"),
    foreground: colour("--text"),
    cursor: colour("--inset"),
    selectionBackground: colour("--selection"),
    scrollbarSliderBackground: colour("--line"),
    scrollbarSliderHoverBackground: colour("--quiet"),
    scrollbarSliderActiveBackground: colour("--quiet"),
  };
}

/**
 * The terminal writes its styles into <style> elements, which the page's content security policy
 * forbids, and rightly. While it sets itself up, it gets other elements that show nothing, and hand
 * their text to a style sheet of the page's own making.
 */
function withAdoptedStyles(setUp) {
  document.createElement = (name, options) => {
    const isStyle = name === "style";
    const tag = isStyle ? "template" : name;
    const element = Document.prototype.createElement.call(document, tag, options);
    if (isStyle) {
      const sheet = new CSSStyleSheet();
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
      Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text) });
    }
    return element;
  };
  try {
    setUp();
  } finally {
    delete document.createElement;
  }
}

/**
 * Colours that are not in the terminal's palette it writes into the style attribute of its spans,
 * which the policy forbids as well; set through the object model, the same text is allowed.
 */
HTMLSpanElement.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
};

function decodeBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const data = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) data[place] = binary.charCodeAt(place);
  return data;
}
