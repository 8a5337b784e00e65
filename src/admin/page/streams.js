// The table of streams: filter, order, and no more rows than a page can bear.

import { Bar, KeyedRows, byId, make, setText } from "./dom.js";
import { bytes, count, percent, rate, span } from "./format.js";
import { select } from "./model.js";

/** Rows shown at first, and added with each press of the button. */
const ROWS = 100;

/** The table. */
export class StreamTable {
  constructor() {
    this.body = byId("stream-table").tBodies[0];
    this.rows = new KeyedRows(this.body, (stream) => new StreamRow(stream));
    this.filter = byId("filter");
    this.sort = byId("sort");
    this.more = byId("streams-more");
    this.empty = byId("streams-empty");
    this.limit = ROWS;
    this.streams = [];
    this.selected = null;

    this.filter.addEventListener("input", () => this.restart());
    this.sort.addEventListener("change", () => this.restart());
    this.more.addEventListener("click", () => {
      this.limit += ROWS;
      this.render();
    });
    for (const button of document.querySelectorAll("#stream-table [data-sort]")) {
      button.addEventListener("click", () => {
        const sort = button.dataset.sort;
        // A second press goes back to the usual order.
        this.sort.value = this.sort.value === sort ? "attention" : sort;
        this.restart();
      });
    }
    // The whole row is a target for the pointer; the link in it is the one for the keyboard.
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      const isLink = event.target.closest("a") !== null;
      if (row && !isLink && getSelection().isCollapsed) row.querySelector("a").click();
    });
  }

  restart() {
    this.limit = ROWS;
    this.render();
  }

  show(streams) {
    this.streams = streams;
    this.render();
  }

  mark(id) {
    this.selected = id;
    this.render();
  }

  render() {
    const found = select(this.streams, this.filter.value, this.sort.value);
    const shown = found.slice(0, this.limit);
    this.rows.show(shown, (stream) => stream.id);
    for (const [id, row] of this.rows.rows) row.mark(id === this.selected);

    const left = found.length - shown.length;
    this.more.hidden = left === 0;
    setText(this.more, `Show ${Math.min(left, ROWS)} more of ${count(left)}`);
    this.empty.hidden = found.length > 0;
    const none = "No streams yet. Try: echo hello | weir pub";
    setText(this.empty, this.streams.length === 0 ? none : "No stream matches the filter.");
    setText(
      byId("streams-title"),
      found.length === this.streams.length
        ? "Streams"
        : `Streams (${count(found.length)} of ${count(this.streams.length)})`,
    );
    for (const head of document.querySelectorAll("#stream-table th")) {
      const sort = head.querySelector("button").dataset.sort;
      const direction = sort === "name" ? "ascending" : "descending";
      head.setAttribute("aria-sort", sort === this.sort.value ? direction : "none");
    }
  }
}

class StreamRow {
  constructor(stream) {
    this.link = make("a", "name");
    this.link.href = `#/${encodeURIComponent(stream.id)}`;
    this.id = make("span", "id");
    this.badges = make("span", "badges");
    this.kind = make("span", "kind quiet");
    this.fill = new Bar("fill", "Fill");
    this.lag = new Bar("lag", "Largest lag");
    this.cells = {
      name: cell("c-name", make("span", "name-line", this.link, this.badges), this.kind),
      rate: cell("c-rate num"),
      fill: cell("c-fill", this.fill.element),
      parked: cell("c-parked num"),
      lag: cell("c-lag", this.lag.element),
      lost: cell("c-lost num"),
      readers: cell("c-readers num"),
    };
    this.element = make("tr", "", ...Object.values(this.cells));
    this.element.setAttribute("role", "row");
    this.element.dataset.stream = stream.id;
  }

  show(stream) {
    const { cells } = this;
    setText(this.link, stream.name || stream.type);
    const context = stream.context ? ` · ${stream.context}` : "";
    const input = stream.direction === "out" ? "" : ` · ${stream.direction}`;
    setText(this.kind, `${stream.id} · ${stream.type}${input}${context}`);
    setText(this.badges, stream.state === "live" ? "" : stream.state);
    setText(cells.rate, rate(stream.rate));
    cells.rate.classList.toggle("quiet", !stream.rate);
    const parked = stream.parkedWrites > 0;
    const full = parked && stream.fullMs !== null;
    const fill = full ? `full ${span(stream.fullMs)}` : percent(stream.fill);
    this.fill.show(stream.fill, fill, parked ? "bad" : "");
    setText(cells.parked, count(stream.parkedWrites));
    flag(cells.parked, parked, stream.parkedWrites === 0);
    const late = stream.lagMs ? ` · ${span(stream.lagMs)}` : "";
    const lag = stream.readers.length === 0 ? "no reader" : `${bytes(stream.lag)}${late}`;
    this.lag.show(stream.lagShare, lag, stream.lagLevel);
    setText(cells.lost, bytes(stream.lost));
    flag(cells.lost, stream.lost > 0, stream.lost === 0);
    setText(cells.readers, count(stream.readers.length));
  }

  mark(isSelected) {
    this.element.classList.toggle("selected", isSelected);
    if (isSelected) this.link.setAttribute("aria-current", "true");
    else this.link.removeAttribute("aria-current");
  }
}

function cell(className, ...children) {
  const element = make("td", className, ...children);
  element.setAttribute("role", "cell");
  return element;
}

function flag(element, isBad, isQuiet) {
  element.classList.toggle("bad", isBad);
  element.classList.toggle("quiet", isQuiet);
}
