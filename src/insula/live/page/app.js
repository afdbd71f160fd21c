// The page: what comes from the server to where it is shown, what is pressed to the server.
import { colour, token } from "./colours.js";
import { Curve, History } from "./curves.js";
import { Head } from "./head.js";
import { Link } from "./link.js";
import { Sweep } from "./sweep.js";
import { Teacher } from "./teach.js";

const $ = (id) => document.getElementById(id);
const TITLES = { eeg: "EEG", eda: "Skin conductance", bvp: "Pulse", ppg: "Pulse", temp: "Temperature", hr: "Heart rate", acc: "Movement", ecg: "ECG", resp: "Breath", emg: "EMG" };
const FAST_HZ = 16;
const views = new Map();
const history = new History($("history"));
let head = null, hello = null, last = null, start = null, spokenState = null;
const delays = [];

const link = new Link({ state, hello: greet, signals, decision, labels: (m) => { teacher.labels(m); marks(m); }, status, note: (m) => teacher.note(m.text), proposal: (m) => teacher.propose(m.why), guide: (m) => teacher.guide(m), learning: () => teacher.busy(), pong });
const teacher = new Teacher((message) => link.send(message));

function state(open, reason) {
  document.body.classList.toggle("lost", !open);
  $("link").className = open ? "light on" : "light off";
  $("link").lastChild.textContent = open ? "live" : reason || "connection lost, trying again";
}

function greet(message) {
  const same = hello && JSON.stringify(hello.modalities) === JSON.stringify(message.modalities);
  hello = message;
  $("source").textContent = `${message.source}${message.model ? ` · ${message.target}` : " · no model, learning from you"}`;
  $("time-note").textContent = `windows of ${message.window_s} s, one every ${message.hop_s} s; grey: don't know`;
  history.classes(message.classes, message.continuous);
  keys(message.keys);
  if (same) return;
  for (const view of views.values()) view.close?.();
  views.clear(); head = null;
  $("others").replaceChildren();
  const names = Object.keys(message.modalities);
  $("eeg").hidden = !names.includes("eeg");
  $("no-signal").hidden = names.length > 0;
  for (const name of names) views.set(name, view(name, message.modalities[name]));
}

function view(name, { channels, rate_hz: rate, unit, places }) {
  if (name === "eeg") {
    $("head-figure").hidden = !places;
    if (places) head = new Head($("head"), places, rate, channels.length);
    const sweep = new Sweep($("eeg-canvas"), channels, rate);
    sweep.rescaled = (scale) => { $("eeg-scale").textContent = `each row ± ${scale.toPrecision(2)} ${unit.replace("uV", "µV")}, ${sweep.span} s across`; };
    return sweep;
  }
  const box = document.createElement("div"), title = document.createElement("h3"), value = document.createElement("span");
  box.className = "other";
  title.append(TITLES[name] ?? name, value);
  box.append(title);
  $("others").append(box);
  let made;
  if (rate >= FAST_HZ) {
    const holder = document.createElement("div"), canvas = document.createElement("canvas");
    holder.className = "sweep"; canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", TITLES[name] ?? name);
    holder.append(canvas); box.append(holder);
    made = new Sweep(canvas, channels, rate);
  } else {
    const holder = document.createElement("div");
    holder.setAttribute("role", "img"); holder.setAttribute("aria-label", TITLES[name] ?? name);
    box.append(holder);
    made = new Curve(holder, rate);
    made.show = (v) => { value.textContent = Number.isFinite(v) ? `${v.toPrecision(3)} ${unit === "a.u." ? "" : unit.replace("degC", "°C").replace("uS", "µS")}` : ""; };
  }
  return made;
}

function signals(header, parts) {
  if (header.start_s !== start) { start = header.start_s; for (const v of views.values()) v.restart?.(); }
  for (const part of parts) {
    const v = views.get(part.m);
    if (!v) continue;
    v.add(part.values, part.count, part.first, part.seen, header.start_s);
    if (part.m === "eeg") head?.add(part.values, part.count, part.seen);
    v.show?.(part.seen[part.count - 1] ? part.values[part.count - 1] : NaN);
  }
  if (header.age_s !== null) arrived.push({ due: header.sent_ms - 1000 * header.age_s });
}
const arrived = [];

function frame(now) {
  for (const v of views.values()) v.draw();
  head?.draw(now);
  if (arrived.length) {
    const shown = Date.now() + link.offset;
    for (const { due } of arrived.splice(0)) delays.push(Math.max(0, shown - due));
    if (delays.length > 120) delays.splice(0, delays.length - 120);
    document.body.dataset.frames = String(Number(document.body.dataset.frames || 0) + 1);
  }
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
setInterval(() => {
  if (!delays.length) return;
  const sorted = [...delays].sort((a, b) => a - b);
  $("latency").textContent = `${sorted[sorted.length >> 1].toFixed(0)} ms`;
}, 1000);

function decision(message) {
  last = message;
  const { classes, chances, label, why } = message;
  if (classes.length) history.classes(classes, hello?.continuous ?? false);
  const said = chances.length > 0 || message.value !== null;
  const word = message.value !== null ? message.value.toFixed(2) : label ?? (said ? "don't know" : "…");
  $("state").textContent = word;
  $("state").classList.toggle("unknown", label === null && message.value === null);
  $("state").style.color = label === null ? "" : "";
  const from = message.personal ? "your own model" : "the saved model";
  const best = chances.length ? Math.max(...chances) : 0;
  $("why").textContent = label !== null ? `${Math.round(100 * best)} % · ${from}` : why;
  bars(classes, chances, message.spread);
  if (said) history.add(message.time_s, message.value !== null ? [message.value] : chances, message.spread, label !== null || message.value !== null);
  const spoken = label ?? (said ? "don't know" : why);
  if (spoken !== spokenState) { spokenState = spoken; $("spoken").textContent = spoken; }
  $("late").textContent = message.late_s === null ? "–" : `${Math.round(1000 * message.late_s)} ms`;
  $("compute").textContent = `${message.compute_ms.toFixed(1)} ms`;
  $("energy").textContent = message.energy_j === null ? "not counted" : joules(message.energy_j);
  attention(message);
  document.body.dataset.decisions = String(Number(document.body.dataset.decisions || 0) + 1);
}

function bars(classes, chances, spread) {
  const list = $("bars");
  if (list.children.length !== classes.length || list.dataset.names !== classes.join()) {
    list.dataset.names = classes.join();
    list.replaceChildren(...classes.map((name, i) => {
      const row = document.createElement("li");
      row.innerHTML = '<span class="name"></span><span class="track"><i></i><span class="band"></span></span><span class="percent"></span>';
      row.querySelector(".name").textContent = name;
      row.querySelector("i").style.background = colour(i);
      return row;
    }));
  }
  const best = chances.length ? chances.indexOf(Math.max(...chances)) : -1;
  [...list.children].forEach((row, i) => {
    const p = chances[i];
    row.classList.toggle("top", i === best);
    row.querySelector("i").style.width = `${100 * (p ?? 0)}%`;
    row.querySelector(".percent").textContent = p === undefined ? "–" : `${Math.round(100 * p)} %`;
    const band = row.querySelector(".band");
    band.hidden = !spread || p === undefined;
    if (!band.hidden) {
      const low = Math.max(0, p - spread[i]), high = Math.min(1, p + spread[i]);
      band.style.left = `${100 * low}%`; band.style.width = `${100 * (high - low)}%`;
    }
  });
}

function attention(message) {
  const weights = message.attention.time ?? Object.values(message.attention)[0];
  $("attention-row").hidden = !weights;
  if (!weights) return;
  $("attention-start").textContent = `${message.window_s} s ago`;
  const canvas = $("attention"), ratio = Math.min(2, devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d"), even = 1 / weights.length, step = width / weights.length;
  context.clearRect(0, 0, width, height);
  context.fillStyle = token("--accent");
  weights.forEach((w, i) => { const h = Math.max(1, Math.min(1, w / (2 * even)) * height); context.fillRect(i * step + 1, height - h, Math.max(1, step - 2), h); });
}

function status(message) {
  $("recording").hidden = !message.recording;
  $("record").setAttribute("aria-pressed", String(message.recording));
  $("record").textContent = message.recording ? "Stop recording" : "Record";
  $("problem").hidden = !message.problem && !message.ended;
  $("problem").textContent = message.problem || (message.ended ? "The recording has come to its end." : "");
  const names = Object.keys(message.sensors);
  $("sensors").replaceChildren(...names.map((name) => sensor(name, message.sensors[name])));
  const sum = (key) => names.reduce((n, name) => n + message.sensors[name][key], 0);
  const lost = sum("lost"), all = lost + sum("arrived");
  $("lost").textContent = `${lost}${all ? ` (${((100 * lost) / all).toFixed(lost ? 2 : 0)} %)` : ""}`;
}

function sensor(name, s) {
  const row = document.createElement("li"), used = last?.sensors[name]?.counts;
  row.className = !s.there ? "out" : s.observed < 0.5 || s.bad.length ? "poor" : "";
  row.innerHTML = '<b></b><span class="meter"><i></i></span><span class="word"></span>';
  row.querySelector("b").textContent = name;
  row.querySelector("i").style.transform = `scaleX(${s.there ? s.observed : 0})`;
  row.querySelector(".word").textContent = !s.there ? s.why || "gone" : used === false ? "does not count" : used ? "counts" : "seen";
  const more = [];
  if (s.lost) more.push(`${s.lost} lost`);
  if (s.late) more.push(`${s.late} late`);
  if (s.bad.length) more.push(`left out: ${s.bad.join(", ")}`);
  if (more.length) { const p = document.createElement("p"); p.className = "more"; p.textContent = more.join(" · "); row.append(p); }
  return row;
}

function keys(names) {
  $("person").hidden = !names?.length;
  if (!names?.length || $("keys").childElementCount === names.length) return;
  $("keys").replaceChildren(...names.map((name) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = name; button.setAttribute("aria-pressed", "false");
    button.onclick = () => press(name);
    return button;
  }));
}
function press(name) {
  link.send({ type: "key", key: name });
  for (const button of $("keys").children) button.setAttribute("aria-pressed", String(button.textContent === name));
}
function marks(message) { history.marks = message.stretches.map((s) => ({ time: s.stop_s, colour: colour(message.classes.indexOf(s.name)) })); }
function pong(message) { $("dropped").textContent = String(message.dropped); }
function joules(j) { for (const [scale, unit] of [[1, "J"], [1e-3, "mJ"], [1e-6, "µJ"], [1e-9, "nJ"]]) if (j >= scale) return `${(j / scale).toPrecision(3)} ${unit}`; return `${j} J`; }

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  if (digit && event.shiftKey) { const name = hello?.keys?.[Number(digit) - 1]; if (name) press(name); }
  else if (digit) teacher.pressDigit(Number(digit) - 1);
  else if (event.key.toLowerCase() === "u") teacher.undo();
  else return;
  event.preventDefault();
});
$("theme").onclick = () => {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("insula-theme", root.dataset.theme); } catch { /* storage may be forbidden */ }
  repaint();
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
function repaint() { for (const v of views.values()) v.repaint(); history.repaint(); }
