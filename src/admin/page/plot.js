// Throughput over the last minutes.

import uPlot from "./vendor/uplot-1.6.32/uPlot.esm.js";
import { byId, make, setText } from "./dom.js";
import { rate } from "./format.js";

const HEIGHT = 132;

/** Seconds that the plot spans: at first the least, then as many as it has seen. */
const WINDOW_MIN = 60;
const WINDOW_MAX = 300;

/** Steps of the axis: one, two or five of a power of 1024, or a power of ten of them. */
const STEPS = [0, 1, 2, 3, 4].flatMap((power) =>
  [1, 2, 5, 10, 20, 50, 100, 200, 500].map((step) => step * 1024 ** power),
);

/** The plot, as wide as its place. */
export class Plot {
  constructor() {
    this.place = byId("plot");
    this.readout = make("p", "readout quiet");
    this.samples = null;
    this.build();
    new ResizeObserver(() => {
      this.plot.setSize({ width: this.place.clientWidth, height: HEIGHT });
    }).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  build() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--quiet"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const series = { width: 1.5, points: { show: false }, spanGaps: false };
    const options = {
      width: this.place.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { range: timeRange },
        y: { range: (_plot, _min, max) => [0, Math.max(1024, max * 1.08)] },
      },
      axes: [
        { ...axis, size: 24, space: 64, incrs: [10, 20, 60, 120, 300], values: clocks },
        {
          ...axis,
          size: 74,
          space: 32,
          incrs: STEPS,
          values: (_plot, splits) => splits.map((value) => (value === 0 ? "0" : rate(value))),
        },
      ],
      series: [
        {},
        { ...series, stroke: colour("--out"), width: 1.5 },
        { ...series, stroke: colour("--accent"), fill: colour("--accent-soft") },
      ],
      hooks: { setCursor: [(plot) => this.read(plot)] },
    };
    this.plot = new uPlot(options, this.columns(), this.place);
    this.place.append(this.readout);
  }

  columns() {
    const samples = this.samples;
    return samples === null ? [[], [], []] : [samples.time, samples.out, samples.in];
  }

  show(samples) {
    this.samples = samples;
    this.plot.setData(this.columns());
  }

  read(plot) {
    const place = plot.cursor.idx;
    const known = place !== null && place !== undefined && this.samples?.in[place] !== undefined;
    if (!known) {
      setText(this.readout, "");
      return;
    }
    const time = new Date(1000 * this.samples.time[place]).toLocaleTimeString();
    const [into, out] = [this.samples.in[place], this.samples.out[place]].map(rate);
    setText(this.readout, `${time}: ${into} in, ${out} out`);
  }
}

function timeRange(_plot, min, max) {
  const end = max ?? Date.now() / 1000;
  const seen = end - (min ?? end);
  return [end - Math.min(WINDOW_MAX, Math.max(WINDOW_MIN, seen)), end];
}

/** Times of day for the axis, with seconds where the steps are small. */
function clocks(_plot, splits, _axis, _space, step) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (step < 60) options.second = "2-digit";
  return splits.map((time) => new Date(1000 * time).toLocaleTimeString([], options));
}
