// A head map: power of each channel over the last two seconds, by inverse distance between electrodes.
import { token } from "./colours.js";

const STOPS = [[37, 59, 110], [46, 125, 140], [124, 192, 122], [245, 230, 99]];
function shade(t) {
  const place = Math.min(0.9999, Math.max(0, t)) * (STOPS.length - 1), i = Math.floor(place), part = place - i;
  return STOPS[i].map((v, k) => Math.round(v + part * (STOPS[i + 1][k] - v)));
}

export class Head {
  constructor(canvas, places, rate, channels) {
    Object.assign(this, { canvas, places, rate, channels });
    this.power = new Float64Array(channels); this.at = -1;
    this.size = 56;
    this.weights = this.spread();
  }
  // weights (pixels, electrodes), made once
  spread() {
    const out = [];
    for (let y = 0; y < this.size; y++) for (let x = 0; x < this.size; x++) {
      const px = (2 * (x + 0.5)) / this.size - 1, py = 1 - (2 * (y + 0.5)) / this.size;
      if (px * px + py * py > 1) { out.push(null); continue; }
      let total = 0;
      const row = this.places.map(([ex, ey]) => { const w = 1 / (0.02 + (px - ex) ** 2 + (py - ey) ** 2) ** 1.6; total += w; return w; });
      out.push(row.map((w) => w / total));
    }
    return out;
  }
  add(values, count, seen) {
    const keep = Math.exp(-1 / (2 * this.rate));
    for (let k = 0; k < count; k++) {
      if (!seen[k]) continue;
      for (let c = 0; c < this.channels; c++) { const v = values[c * count + k]; this.power[c] = keep * this.power[c] + (1 - keep) * v * v; }
    }
  }
  draw(now) {
    if (now - this.at < 250) return;
    this.at = now;
    const ratio = Math.min(2, window.devicePixelRatio || 1), side = Math.round(this.canvas.clientWidth * ratio);
    if (!side) return;
    if (this.canvas.width !== side) { this.canvas.width = side; this.canvas.height = side; }
    const context = this.canvas.getContext("2d"), levels = [...this.power].map((p) => Math.log(p + 1e-3));
    const low = Math.min(...levels), range = Math.max(0.5, Math.max(...levels) - low);
    this.image ??= new ImageData(this.size, this.size);
    this.weights.forEach((row, i) => {
      if (!row) { this.image.data[4 * i + 3] = 0; return; }
      let level = 0;
      for (let c = 0; c < row.length; c++) level += row[c] * levels[c];
      const [r, g, b] = shade((level - low) / range);
      this.image.data.set([r, g, b, 255], 4 * i);
    });
    this.small ??= Object.assign(document.createElement("canvas"), { width: this.size, height: this.size });
    this.small.getContext("2d").putImageData(this.image, 0, 0);
    const margin = side * 0.09, inner = side - 2 * margin, middle = side / 2, radius = inner / 2;
    context.clearRect(0, 0, side, side);
    context.strokeStyle = token("--soft"); context.lineWidth = 1.6 * ratio;
    context.beginPath();  // nose and ears
    context.moveTo(middle - radius * 0.14, margin + 2); context.lineTo(middle, margin * 0.25); context.lineTo(middle + radius * 0.14, margin + 2);
    context.stroke();
    for (const sign of [-1, 1]) { context.beginPath(); context.ellipse(middle + sign * radius * 1.04, middle, radius * 0.07, radius * 0.2, 0, 0, 7); context.stroke(); }
    context.save();
    context.beginPath(); context.arc(middle, middle, radius, 0, 7); context.clip();
    context.imageSmoothingEnabled = true; context.imageSmoothingQuality = "high";
    context.drawImage(this.small, margin, margin, inner, inner);
    context.restore();
    context.beginPath(); context.arc(middle, middle, radius, 0, 7); context.stroke();
    context.fillStyle = "#111"; context.globalAlpha = 0.75;
    for (const [x, y] of this.places) { context.beginPath(); context.arc(middle + x * radius, middle - y * radius, 2.1 * ratio, 0, 7); context.fill(); }
    context.globalAlpha = 1;
  }
}
