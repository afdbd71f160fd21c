// Slow curves and probabilities over time, with uPlot.
import { colour, token } from "./colours.js";

const axes = (more = {}) => [
  { stroke: token("--soft"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui", size: 26, incrs: SECONDS, values: (u, ticks) => ticks.map((t) => clock(t)) },
  { stroke: token("--soft"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui", size: 46, ...more },
];
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600]; // what the axis counts in: no second twice
const FLAT = { show: false };

class Plot {
  constructor(place, height) {
    this.place = place; this.height = height;
    this.observer = new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: this.height }));
    this.observer.observe(place);
  }
  width() { return Math.max(120, Math.floor(this.place.clientWidth)); }
  make(options, data) {
    this.plot?.destroy();
    this.plot = new uPlot({ width: this.width(), height: this.height, cursor: FLAT, legend: FLAT, ...options }, data, this.place);
  }
  close() { this.observer.disconnect(); this.plot?.destroy(); this.plot = null; }
}

export class Curve extends Plot {
  constructor(place, rate, span = 90) {
    super(place, 110);
    this.rate = rate; this.keep = Math.round(rate * span); this.times = []; this.values = []; this.dirty = false;
    this.build();
  }
  build() {
    this.make({
      scales: { x: { time: false } }, axes: axes(),
      series: [{}, { stroke: token("--accent"), width: 2, spanGaps: false }],
    }, [this.times, this.values]);
  }
  add(values, count, first, seen, start) {
    for (let k = 0; k < count; k++) { this.times.push(start + (first + k) / this.rate); this.values.push(seen[k] ? values[k] : null); }
    const over = this.times.length - this.keep;
    if (over > 0) { this.times.splice(0, over); this.values.splice(0, over); }
    this.dirty = true;
  }
  draw() { if (this.dirty) { this.dirty = false; this.plot.setData([this.times, this.values]); } }
  repaint() { this.build(); }
  restart() { this.times = []; this.values = []; this.dirty = true; }
}

export class History extends Plot {
  constructor(place, keep = 300) { super(place, 210); this.keep = keep; this.names = []; this.rows = []; this.marks = []; }
  classes(names, continuous) {
    if (names.join() === this.names.join() && continuous === this.continuous && this.plot) return;
    this.names = [...names]; this.continuous = continuous;
    this.build();
  }
  columns() { return this.continuous ? ["value"] : this.names; }
  build() {
    const names = this.columns();
    if (!names.length) { this.plot?.destroy(); this.plot = null; return; }
    const series = [{}], bands = [];
    names.forEach((name, i) => series.push({ label: name, stroke: colour(i), width: 2.5, points: FLAT }));
    names.forEach((name, i) => {  // the spread of each, above and below
      const at = series.length;
      series.push({ width: 0, points: FLAT }, { width: 0, points: FLAT });
      bands.push({ series: [at, at + 1], fill: colour(i) + "33" });
    });
    const y = this.continuous ? { auto: true } : { range: [0, 1] };
    const more = this.continuous ? {} : { values: (u, ticks) => ticks.map((t) => `${Math.round(100 * t)} %`) };
    this.make({ scales: { x: { time: false }, y }, axes: axes(more), series, bands, hooks: { draw: [(u) => this.shade(u)] } }, this.data());
  }
  add(time, chances, spread, known, label) {
    const last = this.rows[this.rows.length - 1];
    if (last && time < last.time) this.rows = [];
    this.rows.push({ time, chances, spread, known });
    if (this.rows.length > this.keep) this.rows.shift();
    this.plot?.setData(this.data());
  }
  data() {
    const times = this.rows.map((r) => r.time), out = [times];
    const names = this.columns();
    names.forEach((_, i) => out.push(this.rows.map((r) => r.chances[i] ?? null)));
    names.forEach((_, i) => {
      const edge = (sign) => this.rows.map((r) => (r.spread && r.chances[i] !== undefined ? bound(r.chances[i] + sign * r.spread[i], this.continuous) : null));
      out.push(edge(1), edge(-1));
    });
    return out;
  }
  // where it said "don't know", the ground is grey
  shade(u) {
    const context = u.ctx, { top, height } = u.bbox;
    context.save();
    context.fillStyle = token("--soft"); context.globalAlpha = 0.13;
    this.rows.forEach((row, i) => {
      if (row.known) return;
      const begin = i ? this.rows[i - 1].time : row.time - 1;
      const x0 = u.valToPos(Math.max(begin, row.time - 5), "x", true), x1 = u.valToPos(row.time, "x", true);
      if (x1 > u.bbox.left) context.fillRect(Math.max(x0, u.bbox.left), top, x1 - Math.max(x0, u.bbox.left), height);
    });
    context.globalAlpha = 0.9;
    for (const mark of this.marks) {
      const x = u.valToPos(mark.time, "x", true);
      if (x >= u.bbox.left && x <= u.bbox.left + u.bbox.width) { context.fillStyle = mark.colour; context.fillRect(x - 1.5, top, 3, 10); }
    }
    context.restore();
  }
  repaint() { this.build(); }
}
const bound = (p, free) => (free ? p : Math.min(1, Math.max(0, p)));
