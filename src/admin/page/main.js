// The dashboard: asks for /stats, makes a model of it, and hands that to the views.

import { Detail } from "./detail.js";
import { byId, setText } from "./dom.js";
import { bytes, count, rate, span } from "./format.js";
import { Model, slowestReaders } from "./model.js";
import { Plot } from "./plot.js";
import { pollForEver } from "./poll.js";
import { ReaderList } from "./readers.js";
import { StreamTable } from "./streams.js";

const SLOWEST = 12;

const model = new Model();
const plot = new Plot();
const table = new StreamTable();
const detail = new Detail();
const slowest = new ReaderList(byId("slowest-list"), true);

let lostAt = null;

pollForEver(showStats, showFailure);
addEventListener("hashchange", navigate);
addEventListener("keydown", handleKey);
navigate();

/** The part of the address behind `#/` names the stream that is looked at. */
function navigate() {
  const hash = location.hash;
  if (hash !== "" && !hash.startsWith("#/")) return;
  let id;
  try {
    id = decodeURIComponent(hash.slice(2)) || null;
  } catch {
    id = null;
  }
  const before = table.selected;
  table.mark(id);
  detail.open(id);
  if (id === null && before !== null) {
    document.querySelector(`tr[data-stream="${CSS.escape(before)}"] a`)?.focus();
  }
}

function handleKey(event) {
  const isTyping = event.target.matches("input, select");
  // In the filter, Escape clears it first.
  const clears = event.target === byId("filter") && event.target.value !== "";
  if (event.key === "Escape" && detail.id !== null && !clears) {
    location.hash = "#/";
  } else if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    byId("filter").focus();
  }
}

function showStats(stats, asked) {
  const now = model.take(stats, asked);
  if (now.restarted) detail.restart();
  showConnection(now);
  showTotals(now);
  plot.show(now.samples);
  table.show(now.streams);
  const behind = slowestReaders(now.streams, SLOWEST);
  slowest.show(behind);
  byId("slowest-empty").hidden = behind.length > 0;
  detail.show(now.streams);
}

function showConnection(now) {
  lostAt = null;
  document.body.classList.remove("is-stale");
  byId("banner").hidden = true;
  const pill = byId("connection");
  setText(pill, "live");
  pill.dataset.level = "good";
  setText(byId("broker-name"), now.name === "Weir" ? "" : now.name);
  setText(byId("about"), `version ${now.version}, up ${span(now.uptimeMs)}`);
  document.title = now.name && now.name !== "Weir" ? `${now.name} · Weir` : "Weir";
}

function showFailure(text) {
  const isFirst = lostAt === null;
  lostAt ??= Date.now();
  model.takeNothing();
  plot.show(model.samples);
  document.body.classList.add("is-stale");
  const pill = byId("connection");
  setText(pill, "no connection");
  pill.dataset.level = "bad";
  const banner = byId("banner");
  banner.hidden = false;
  // Read out once, not with every attempt.
  if (isFirst) banner.setAttribute("aria-live", "assertive");
  const since = Date.now() - lostAt;
  const age = since < 2000 ? "" : ` What you see is ${span(since)} old.`;
  setText(banner, `${text}. Trying again by itself.${age}`);
  if (isFirst) banner.setAttribute("aria-live", "off");
}

function showTotals(now) {
  const { totals } = now;
  setText(byId("total-in"), rate(now.inRate));
  setText(byId("total-out"), rate(now.outRate));
  setText(byId("total-parked"), count(now.parkedWrites));
  byId("tile-parked").classList.toggle("is-bad", now.parkedWrites > 0);
  setText(byId("total-lost"), bytes(totals.lost_bytes));
  byId("total-lost").title = `${count(totals.lost_bytes)} bytes since the broker started`;
  setText(byId("total-streams"), count(totals.streams));
  setText(byId("total-readers"), count(totals.readers));
  setText(byId("total-memory"), bytes(totals.held_bytes));
  byId("total-memory").title = `of ${bytes(totals.held_bytes_max)}`;
}
