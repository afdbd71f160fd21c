// Labels, the guided calibration, and what came of them.
import { colour } from "./colours.js";

const $ = (id) => document.getElementById(id);

export class Teacher {
  constructor(send) {
    this.send = send; this.names = []; this.quiet = 0;
    $("undo").onclick = () => this.undo();
    $("forget").onclick = () => send({ type: "forget" });
    $("save").onclick = () => send({ type: "save" });
    $("record").onclick = () => send({ type: "record", on: $("record").getAttribute("aria-pressed") !== "true" });
    $("calibrate").onclick = () => send({ type: "calibrate", on: true });
    $("guide-stop").onclick = () => send({ type: "calibrate", on: false });
    $("add").onsubmit = (event) => {
      event.preventDefault();
      const name = $("add-name").value.trim();
      if (name) send({ type: "class", name });
      $("add-name").value = "";
    };
  }
  undo() { this.send({ type: "undo" }); }
  pressDigit(i) { if (i < this.names.length) this.label(this.names[i]); }
  label(name) {
    this.send({ type: "label", name, seconds: Number($("seconds").value) });
    $("proposal").hidden = true;
    this.note(`the last ${$("seconds").value} s: ${name}`);
  }
  note(text) { $("note").textContent = text; }
  propose(why) {
    $("proposal").textContent = `A good moment for a label: ${why}.`;
    $("proposal").hidden = false;
  }
  busy() { this.learning = true; if (!this.scored) $("score").textContent = "Learning from your labels …"; }
  labels(message) {
    if (message.classes.join() !== this.names.join()) this.buttons(message.classes);
    [...$("classes").children].forEach((button, i) => {
      const count = message.counts[message.classes[i]];
      button.querySelector(".count").textContent = count ? `${count}` : "";
      button.setAttribute("aria-label", `${message.classes[i]}, ${count} labels, key ${i + 1}`);
    });
    $("add").hidden = message.fixed;
    $("ask").hidden = !message.classes.length;
    $("calibrate").disabled = message.classes.length < 2;
    $("undo").disabled = !message.stretches.length;
    $("forget").hidden = !message.score;
    $("forget").textContent = message.fixed ? "Back to the saved model" : "Forget what it learned";
    $("save").hidden = !message.can_save;
    $("record").hidden = !message.can_record;
    this.score(message);
    $("labels").replaceChildren(...message.stretches.slice(-12).reverse().map((s) => {
      const item = document.createElement("li");
      item.textContent = `${s.name} ${Math.round(s.stop_s - s.start_s)} s`;
      item.style.setProperty("--own", colour(message.classes.indexOf(s.name)));
      return item;
    }));
  }
  buttons(names) {
    this.names = [...names];
    $("classes").replaceChildren(...names.map((name, i) => {
      const button = document.createElement("button"), word = document.createElement("span"), side = document.createElement("span");
      button.type = "button"; word.textContent = name;
      const count = document.createElement("span"), key = document.createElement("kbd");
      count.className = "count"; key.textContent = String(i + 1);
      side.append(count, key);
      button.append(word, side);
      button.style.setProperty("--own", colour(i));
      button.onclick = () => this.label(name);
      return button;
    }));
  }
  score(message) {
    const box = $("score"), s = message.score;
    this.scored = Boolean(s);
    box.replaceChildren();
    if (!s) {
      const need = Object.entries(message.counts).filter(([, n]) => n < 2).map(([name]) => name);
      box.textContent = message.classes.length < 2 ? "Name at least two states, then label moments of each."
        : message.learning ? "Learning from your labels …"
        : message.ready ? "" : `Two labels each of two states or more, then it learns. ${need.length ? `Still missing: ${need.join(", ")}.` : ""}`;
      return;
    }
    const table = document.createElement("table");
    const row = (name, value) => { const r = table.insertRow(); r.insertCell().textContent = name; r.insertCell().textContent = value; };
    if (s.before !== null) row("saved model", `${s.before} of ${s.stretches}`);
    row("your own model", `${s.after} of ${s.stretches}`);
    const p = document.createElement("p");
    p.textContent = "Labelled stretches told right, each by a model that never learned from it."
      + (s.serves ? "" : " The saved model is better so far, so it goes on.")
      + (s.stretches < 10 ? " Few: read it loosely." : "");
    box.append(table, p);
    box.dataset.after = String(s.after);
  }
  guide(message) {
    $("guide").hidden = !message.on;
    $("calibrate").hidden = message.on;
    if (message.finished) this.note("Calibration finished.");
    if (!message.on) return;
    const said = { rest: "Sit still and rest", feel: `Recall a moment: ${message.name}`, pause: "Let it go" };
    $("guide-what").textContent = said[message.kind];
    $("guide-left").textContent = `${Math.round(message.left_s)} s`;
    $("guide-bar").value = message.place / message.of;
  }
}
