// Many channels on one canvas, sweeping: least and greatest value of each pixel column, only new columns are drawn.
import { token } from "./colours.js";

export class Sweep {
  constructor(canvas, names, rate, span = 10) {
    Object.assign(this, { canvas, names, rate, span, channels: names.length, scale: 0, drawn: 0 });
    this.context = canvas.getContext("2d", { alpha: false });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
    this.resize();
  }
  resize() {
    const ratio = Math.min(2, window.devicePixelRatio || 1), box = this.canvas.getBoundingClientRect();
    const width = Math.max(60, Math.round(box.width * ratio)), height = Math.max(30, Math.round(box.height * ratio));
    if (this.columns && width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width; this.canvas.height = height; this.ratio = ratio;
    this.left = this.channels > 1 ? Math.round(46 * ratio) : 0;
    this.columns = width - this.left;
    this.low = new Float32Array(this.columns * this.channels).fill(NaN);
    this.high = new Float32Array(this.columns * this.channels).fill(NaN);
    this.gap = new Uint8Array(this.columns);
    this.stamp = new Float64Array(this.columns).fill(-1);
    this.from = null;
    this.repaint();
  }
  // values (channels, count), row by row; first: number of the first sample
  add(values, count, first, seen) {
    const perColumn = (this.span * this.rate) / this.columns;
    for (let k = 0; k < count; k++) {
      const step = Math.floor((first + k) / perColumn), column = step % this.columns;
      const fresh = this.stamp[column] !== step;
      if (fresh) { this.stamp[column] = step; this.gap[column] = 0; }
      if (!seen[k]) this.gap[column] = 1;
      for (let c = 0; c < this.channels; c++) {
        const value = values[c * count + k], at = c * this.columns + column;
        if (fresh) { this.low[at] = value; this.high[at] = value; }
        else { if (value < this.low[at]) this.low[at] = value; if (value > this.high[at]) this.high[at] = value; }
      }
      if (this.from === null) this.from = column;
      this.to = column;
    }
    this.fit(values, count);
  }
  // the row's height follows the typical deviation, slowly; a jump of scale repaints everything
  fit(values, count) {
    if (!count) return;
    let total = 0;
    for (let i = 0; i < values.length; i++) total += Math.abs(values[i]);
    const level = Math.max(1e-6, (4.5 * total) / values.length);
    this.typical = this.typical === undefined ? level : this.typical + (level - this.typical) * Math.min(0.25, count / (2 * this.rate));
    if (!this.scale || this.typical > 1.5 * this.scale || this.typical < this.scale / 2.2) { this.scale = this.typical; this.repaint(); this.rescaled?.(this.scale); }
  }
  rows() { return this.canvas.height / this.channels; }
  repaint() {
    const context = this.context;
    context.fillStyle = token("--well");
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.style();
    if (this.channels > 1) {
      context.fillStyle = token("--soft");
      const size = Math.min(12 * this.ratio, this.rows() * 0.9);
      context.font = `${size}px system-ui, sans-serif`;
      context.textBaseline = "middle";
      const every = Math.max(1, Math.ceil((9 * this.ratio) / this.rows()));
      this.names.forEach((name, c) => { if (c % every === 0) context.fillText(name, 8 * this.ratio, (c + 0.5) * this.rows()); });
    }
    if (this.columns) this.paint(0, this.columns);
  }
  style() { this.ink = token("--trace"); this.ground = token("--well"); this.warn = token("--warn"); }
  draw() {
    if (this.from === null) return;
    const from = this.from, to = this.to;
    this.from = null;
    if (to >= from) this.paint(from, to + 1);
    else { this.paint(from, this.columns); this.paint(0, to + 1); }
    const context = this.context, ahead = Math.round(14 * this.ratio);
    context.fillStyle = this.ground;
    context.fillRect(this.left + to + 1, 0, Math.min(ahead, this.columns - to - 1), this.canvas.height);
    this.drawn++;
  }
  paint(from, to) {
    const context = this.context, height = this.rows(), columns = this.columns;
    context.fillStyle = this.ground;
    context.fillRect(this.left + from, 0, to - from, this.canvas.height);
    context.fillStyle = this.warn;
    for (let x = from; x < to; x++) if (this.stamp[x] >= 0 && this.gap[x]) context.fillRect(this.left + x, this.canvas.height - 3 * this.ratio, 1, 3 * this.ratio);
    context.fillStyle = this.ink;
    const unit = height / 2 / (this.scale || 1), thick = Math.max(1, Math.round(this.ratio));
    for (let c = 0; c < this.channels; c++) {
      const middle = (c + 0.5) * height, top = middle - height, bottom = middle + height;
      for (let x = from; x < to; x++) {
        const at = c * columns + x;
        if (this.stamp[x] < 0 || this.gap[x]) continue;
        let low = this.low[at], high = this.high[at];
        if (x > 0 && this.stamp[x - 1] === this.stamp[x] - 1 && !this.gap[x - 1]) {  // join with the column before
          if (this.high[at - 1] < low) low = this.high[at - 1];
          if (this.low[at - 1] > high) high = this.low[at - 1];
        }
        const y0 = Math.max(top, middle - high * unit), y1 = Math.min(bottom, middle - low * unit);
        context.fillRect(this.left + x, y0, 1, Math.max(thick, y1 - y0));
      }
    }
  }
  restart() { this.stamp.fill(-1); this.from = null; this.repaint(); }
  close() { this.observer.disconnect(); }
}
