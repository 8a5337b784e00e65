// What the views show, made from one answer of /stats and the one before it.

/** Samples of the plot: five minutes at one a second. */
const SAMPLES_MAX = 300;

/** How much two clocks may drift apart between two answers. */
const CLOCK_SLACK_MS = 200;

/** Holds what lasts longer than one answer: what rates are made of, and the plot's samples. */
export class Model {
  constructor() {
    this.forget();
    // Seconds since 1970; bytes a second, null where a sample is missing.
    this.samples = { time: [], in: [], out: [] };
  }

  forget() {
    this.before = null;
  }

  /** Takes in an answer that was asked for at a time. Says what the views show. */
  take(stats, asked) {
    const restarted = this.before !== null && isAnother(this.before, stats.uptime_ms, asked);
    if (restarted) this.forget();
    const rates = new Rates(this.before, stats.uptime_ms);
    const totals = stats.totals;
    const inRate = rates.of("in", totals.accepted_bytes);
    const outRate = rates.of("out", totals.delivered_bytes);
    const streams = stats.streams.map((stream, place) => streamRow(stream, place, rates));
    this.before = rates.forNext();
    this.addSample(inRate, outRate);
    return {
      restarted,
      name: stats.name,
      version: stats.version,
      uptimeMs: stats.uptime_ms,
      totals,
      inRate,
      outRate,
      parkedWrites: sum(streams, (stream) => stream.parkedWrites),
      streams,
      samples: this.samples,
    };
  }

  /** Marks a time without an answer, so that the plot shows a gap. */
  takeNothing() {
    this.addSample(null, null);
  }

  addSample(inRate, outRate) {
    const { time } = this.samples;
    time.push(Date.now() / 1000);
    this.samples.in.push(inRate);
    this.samples.out.push(outRate);
    if (time.length > SAMPLES_MAX) {
      for (const column of Object.values(this.samples)) column.shift();
    }
  }
}

/** Counters of two answers; the broker's own clock gives the time between them. */
class Rates {
  constructor(before, uptimeMs) {
    this.counts = new Map();
    this.uptimeMs = uptimeMs;
    this.before = before;
    this.seconds = before === null ? 0 : (uptimeMs - before.uptimeMs) / 1000;
  }

  /** A counter's growth a second; null where it is new. */
  of(key, value) {
    this.counts.set(key, value);
    const old = this.before?.counts.get(key);
    if (old === undefined || this.seconds <= 0) return null;
    return Math.max(0, value - old) / this.seconds;
  }

  forNext() {
    return { counts: this.counts, uptimeMs: this.uptimeMs, came: performance.now() };
  }
}

/**
 * Whether an answer is of another run of the broker: its clock went on by less than the time that
 * has passed for certain, from when the one answer had come to when the next was asked for.
 */
function isAnother(before, uptimeMs, asked) {
  return uptimeMs - before.uptimeMs < asked - before.came - CLOCK_SLACK_MS;
}

function streamRow(stream, place, rates) {
  const size = stream.buffer_size;
  const readers = stream.readers.map((reader) => readerRow(reader, stream, rates));
  readers.sort((a, b) => b.lag - a.lag || (a.channel < b.channel ? -1 : 1));
  const slowest = readers[0];
  const buffered = stream.buffered ?? stream.end - stream.start;
  const row = {
    id: stream.id,
    place,
    type: stream.type,
    name: stream.name ?? "",
    context: stream.context_id ?? "",
    owner: withSays(stream.owner ?? "", stream.owner_says),
    direction: stream.direction,
    state: stream.cut_off ? "cut off" : stream.eos ? "ended" : "live",
    start: stream.start,
    end: stream.end,
    size,
    history: stream.history,
    stallTimeout: stream.stall_timeout,
    buffered,
    fill: size > 0 ? buffered / size : 0,
    parkedWrites: stream.parked_writes,
    parkedBytes: stream.parked_bytes,
    fullMs: stream.full_ms ?? null,
    heldBy: stream.held_by ?? null,
    ageMs: stream.age_ms,
    rate: rates.of(`s ${stream.id}`, stream.end),
    readers,
    lag: slowest?.lag ?? 0,
    lagMs: slowest?.lagMs ?? null,
    lagShare: slowest?.lagShare ?? 0,
    lagLevel: slowest?.level ?? "",
    lost: sum(readers, (reader) => reader.lost),
  };
  row.attention = attention(row);
  row.words = [row.id, row.type, row.name, row.context, row.owner, row.state, row.direction]
    .join("\n")
    .toLowerCase();
  return row;
}

/** An address, and behind it what its peer says of itself; nothing of that is checked. */
export function withSays(address, says) {
  const parts = [says?.name, says?.user, says?.program].filter((part) => part);
  return parts.length === 0 ? address : `${address} (${parts.join(", ")})`;
}

function readerRow(reader, stream, rates) {
  const isAway = reader.away === true;
  // A viewer is never waited for, so it never stalls: it is overtaken at once.
  const isLagging = reader.lagging || reader.position < stream.start;
  const taking = reader.stalled ? "stalled" : isLagging ? "lagging" : "reading";
  const state = isAway ? "away" : taking;
  const lagShare = stream.buffer_size > 0 ? reader.lag / stream.buffer_size : 0;
  const holds = stream.held_by?.channel === reader.channel && stream.parked_writes > 0;
  return {
    key: `${stream.id} ${reader.channel} ${reader.place ?? ""}`,
    stream: stream.id,
    channel: reader.channel,
    peer: withSays(reader.peer, reader.says),
    position: reader.position,
    delivered: reader.delivered,
    lost: reader.lost,
    lag: reader.lag,
    lagMs: reader.lag_ms ?? null,
    lagShare,
    pendingReads: reader.pending_reads,
    state: holds ? (isAway ? "away, holds the stream" : "holds the stream") : state,
    level: holds || state !== "reading" ? "bad" : lagShare > 0.5 ? "warn" : "",
    rate: rates.of(`r ${stream.id} ${reader.channel}`, reader.delivered),
  };
}

/**
 * How much somebody should look at a stream. In steps, so that rows do not change places with every
 * answer.
 */
function attention(row) {
  let points = Math.min(10, Math.floor(10 * row.lagShare));
  if (row.parkedWrites > 0) points += 1000;
  if (row.lagLevel === "bad") points += 100;
  if (row.state === "cut off") points += 50;
  return points;
}

const ORDERS = {
  attention: (a, b) => b.attention - a.attention,
  created: () => 0,
  name: (a, b) => (a.name || a.type).localeCompare(b.name || b.type),
  rate: (a, b) => (b.rate ?? 0) - (a.rate ?? 0),
  fill: (a, b) => b.fill - a.fill,
  parked: (a, b) => b.parkedWrites - a.parkedWrites,
  lag: (a, b) => b.lag - a.lag,
  lost: (a, b) => b.lost - a.lost,
  readers: (a, b) => b.readers.length - a.readers.length,
};

/** The streams with all words of the filter in them, in order. */
export function select(streams, filter, sort) {
  const words = filter.toLowerCase().split(/\s+/);
  const found = streams.filter((stream) => words.every((word) => stream.words.includes(word)));
  const order = ORDERS[sort] ?? ORDERS.attention;
  return found.sort((a, b) => order(a, b) || a.place - b.place);
}

/** The readers furthest behind, of all streams. */
export function slowestReaders(streams, count) {
  const behind = streams.flatMap((stream) => stream.readers.filter((reader) => reader.lag > 0));
  behind.sort((a, b) => b.lag - a.lag || (a.key < b.key ? -1 : 1));
  return behind.slice(0, count);
}

function sum(items, value) {
  return items.reduce((total, item) => total + value(item), 0);
}
