// One stream: what it is, who reads it, and its bytes as they come.

import { byId, make, setText } from "./dom.js";
import { bytes, count, rate, span } from "./format.js";
import { withSays } from "./model.js";
import { ReaderList } from "./readers.js";
import { Tail } from "./tail.js";

const READERS = 50;

/** The panel beside (on a phone: instead of) the list of streams. */
export class Detail {
  constructor() {
    this.panel = byId("detail");
    this.facts = new Map();
    this.readers = new ReaderList(byId("detail-readers"), false);
    this.more = byId("detail-more");
    this.more.addEventListener("click", () => {
      this.limit += READERS;
      this.show(this.streams);
    });
    this.tail = new Tail();
    this.id = null;
    this.streams = [];
    this.limit = READERS;
    this.isTailing = false;
  }

  /** Shows this stream; null shows none. */
  open(id) {
    if (id === this.id) return;
    this.id = id;
    this.limit = READERS;
    this.isTailing = false;
    this.tail.close();
    this.panel.hidden = id === null;
    document.body.classList.toggle("has-detail", id !== null);
    if (id === null) return;
    this.show(this.streams);
    byId("detail-title").focus({ preventScroll: true });
    if (matchMedia("(max-width: 899px)").matches) scrollTo(0, 0);
  }

  /** The broker is another one: its streams are others, also where they have the same ID. */
  restart() {
    this.isTailing = false;
    this.tail.close();
  }

  show(streams) {
    this.streams = streams;
    if (this.id === null) return;
    const stream = streams.find((stream) => stream.id === this.id);
    byId("detail-facts").hidden = stream === undefined;
    byId("detail-about").hidden = stream === undefined;
    if (stream === undefined) {
      setText(byId("detail-title"), `${this.id} is gone`);
      byId("detail-held").hidden = true;
      this.showReaders([]);
      return;
    }
    setText(byId("detail-title"), stream.name || `${stream.type} ${stream.id}`);
    this.showFacts(stream);
    this.showHeld(stream);
    this.showReaders(stream.readers);
    if (this.isTailing) {
      this.tail.retry();
    } else {
      this.isTailing = true;
      this.tail.open(stream);
    }
  }

  showFacts(stream) {
    const waits = stream.stallTimeout === null ? "for ever" : span(stream.stallTimeout);
    const about = [stream.id, stream.type, stream.context, stream.direction, stream.state];
    const owner = stream.owner ? `owner ${stream.owner}` : "";
    about.push(owner, `${span(stream.ageMs)} old`);
    setText(byId("detail-about"), about.filter((text) => text !== "").join(" · "));
    const facts = {
      Rate: rate(stream.rate),
      Buffer: `${bytes(stream.buffered)} of ${bytes(stream.size)}`,
      History: bytes(stream.history),
      "Waits for a reader": stream.stallTimeout === 0 ? "never" : waits,
      "Parked writes": `${count(stream.parkedWrites)}, ${bytes(stream.parkedBytes)}`,
      "Bytes kept": `${count(stream.start)} – ${count(stream.end)}`,
    };
    for (const [name, text] of Object.entries(facts)) {
      let value = this.facts.get(name);
      if (value === undefined) {
        value = make("dd");
        this.facts.set(name, value);
        byId("detail-facts").append(make("div", "", make("dt", "", name), value));
      }
      setText(value, text);
    }
  }

  showHeld(stream) {
    const held = byId("detail-held");
    held.hidden = stream.parkedWrites === 0;
    if (held.hidden) return;
    const since = stream.fullMs === null ? "" : ` for ${span(stream.fullMs)}`;
    const by = stream.heldBy;
    const late = by?.lag_ms ? ` (${span(by.lag_ms)})` : "";
    const away = by?.away ? ", which is away" : "";
    const who = by
      ? ` It waits for ${withSays(by.peer, by.says)}${away}, ${bytes(by.lag)}${late} behind.`
      : "";
    setText(held, `Full${since}: ${count(stream.parkedWrites)} writes are parked.${who}`);
  }

  showReaders(readers) {
    this.readers.show(readers.slice(0, this.limit));
    setText(byId("detail-count"), readers.length > 0 ? count(readers.length) : "");
    byId("detail-no-readers").hidden = readers.length > 0;
    const left = readers.length - this.limit;
    this.more.hidden = left <= 0;
    setText(this.more, `Show ${Math.min(left, READERS)} more of ${count(left)}`);
  }
}
