// What is under way, wherever one is: how far it is, how long it will take, a button that ends it.
import { command, fill, h, seconds } from "./dom.js";

let last = null, timer = null;
export function work(place, state, inform, screen) {
  const now = state.work;
  clearInterval(timer);
  if (now && last && last.kind === now.kind && last.standing === "running" && now.standing !== "running") {
    inform.say(now.standing === "done" ? `${now.title}: done` : now.standing === "failed" ? `${now.title}: ${now.error}` : `${now.title}: stopped`);
  }
  last = now;
  place.hidden = !now || now.standing === "done" || (now.standing !== "running" && !relevant(now, screen));
  if (place.hidden) { fill(place); return; }
  if (now.standing !== "running") {
    fill(place, h("h2", { id: "work-title" }, now.title), h("p", { class: now.standing === "failed" ? "bad" : "" }, now.standing === "failed" ? now.error : "Stopped. What was there before is as it was."), command(now.command));
    return;
  }
  const steps = Object.entries(now.steps);
  const clock = h("span", { class: "soft unbroken" });
  const tick = () => { clock.textContent = `for ${seconds(Date.now() / 1000 - now.began_s)}`; };
  tick();
  timer = setInterval(tick, 1000);
  fill(place,
    h("div", { class: "line" }, h("h2", { id: "work-title" }, now.title, " ", clock), h("button", { type: "button", id: "stop", class: "quiet", onclick: () => inform.send({ type: "stop" }) }, "Stop")),
    steps.length ? h("ul", { class: "progresses" }, steps.map(([what, [done, total]]) => h("li", {},
      h("span", {}, what), h("progress", { max: Math.max(1, total), value: done, "aria-label": what }), h("span", { class: "figure" }, total > 1 ? `${done} of ${total}` : done >= total ? "done" : "")))) : h("progress", { "aria-label": now.title }),
    h("p", { class: "soft" }, "It goes on when this window is closed."),
    command(now.command));
}
const SCREENS = { draft: ["table", "check"], check: ["table", "check", "question"], look: ["signals"], train: ["training"], export: ["use"] };
const relevant = (now, screen) => (SCREENS[now.kind] ?? []).includes(screen);
