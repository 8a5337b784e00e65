// Rows of readers: those of one stream, or the slowest of all.

import { Bar, KeyedRows, make, setText } from "./dom.js";
import { bytes, count, rate, span } from "./format.js";

/** A list of readers. `withStream` names each reader's stream, as a link. */
export class ReaderList {
  constructor(list, withStream) {
    this.rows = new KeyedRows(list, (reader) => new ReaderRow(reader, withStream));
  }

  show(readers) {
    this.rows.show(readers, (reader) => reader.key);
  }
}

class ReaderRow {
  constructor(reader, withStream) {
    this.peer = make("span", "peer");
    this.state = make("span", "badges");
    this.lag = new Bar("lag", "Lag");
    this.numbers = make("span", "numbers quiet");
    const head = make("span", "name-line", this.peer, this.state);
    if (withStream) {
      const link = make("a", "of-stream", reader.stream);
      link.href = `#/${encodeURIComponent(reader.stream)}`;
      head.append(link);
    }
    this.element = make("li", "", head, this.lag.element, this.numbers);
    this.element.dataset.reader = reader.key;
  }

  show(reader) {
    setText(this.peer, reader.peer);
    this.peer.title = `channel ${reader.channel}`;
    setText(this.state, reader.state === "reading" ? "" : reader.state);
    const late = reader.lagMs ? ` · ${span(reader.lagMs)}` : "";
    this.lag.show(reader.lagShare, `${bytes(reader.lag)}${late}`, reader.level);
    this.lag.words.title = `${count(reader.lag)} bytes behind`;
    const lost = reader.lost > 0 ? `, ${bytes(reader.lost)} lost` : "";
    setText(
      this.numbers,
      `${rate(reader.rate)}, ${bytes(reader.delivered)} delivered${lost}, ` +
        `${count(reader.pendingReads)} pending`,
    );
    this.numbers.title = `at ${count(reader.position)}, lost ${count(reader.lost)} bytes`;
  }
}
