// The shell: steps, the screen that the address names, work under way, and what went wrong.
import { $, fill, h, route } from "./dom.js";
import { connect, post, store } from "./store.js";
import { check } from "./check.js";
import { question } from "./question.js";
import { report } from "./report.js";
import { signals } from "./signals.js";
import { table } from "./table.js";
import { training } from "./training.js";
import { use } from "./use.js";
import { where } from "./where.js";
import { work } from "./work.js";

const SCREENS = [where, table, check, signals, question, training, report, use];
const inform = {
  go: (id) => { location.hash = route(id); },
  say: (text) => { $("spoken").textContent = ""; $("spoken").textContent = text; },
  wrong: (text) => { $("problem").textContent = text; $("problem").hidden = !text; },
  // Send a message; what the studio refuses is said at the top, and the promise tells whether it was done.
  send: async (message) => {
    inform.wrong("");
    try { await post(message); return true; }
    catch (error) { inform.wrong(error.message); return false; }
  },
};
let shown = null, key = null;
const underWay = $("work");

function wanted(state) {
  const named = SCREENS.find((s) => route(s.id) === location.hash);
  if (named && named.ready(state)) return named;
  if (!state.folder) return where;
  if (state.work?.kind === "train" && state.work.standing === "running" && !named) return training; // a window that comes later
  if (state.runs.length && !named) return report;
  return table.ready(state) && !state.check ? table : check;
}
function draw(state) {
  if (!state) return;
  document.title = state.folder ? `${state.folder.name} · insula studio` : "insula studio";
  $("folder").textContent = state.folder ? (state.folder.own ? state.folder.path : state.folder.title) : "";
  const screen = wanted(state), moved = screen !== shown;
  steps(state, screen);
  work(underWay, state, inform, screen.id);
  const now = JSON.stringify(screen.key(state));
  if (!moved && now === key) { screen.update?.(state); return; }
  shown = screen; key = now;
  const title = h("h1", { id: "screen-title", tabindex: "-1" }, screen.title(state));
  if (underWay.parentElement === $("screen")) $("screen").before(underWay);
  fill($("screen"), title, ...screen.render(state, inform));
  if (screen === training) title.after(underWay);
  if (moved) {
    if (location.hash !== route(screen.id)) history.replaceState(null, "", route(screen.id));
    inform.wrong("");
    title.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}
function steps(state, screen) {
  const listed = SCREENS.filter((s) => s.step && !(s.hidden?.(state)));
  fill($("steps"), h("ol", {}, listed.map((s, i) => {
    const ready = s.ready(state), here = s === screen || s.holds?.includes(screen.id);
    const inside = [h("span", { class: "number", "aria-hidden": "true" }, i + 1), h("span", {}, s.step)];
    return h("li", { class: here ? "here" : ready ? "open" : "shut" }, ready
      ? h("a", { href: route(s.id), id: `step-${s.id}`, "aria-current": here ? "step" : null }, inside)
      : h("span", { class: "later", role: "link", "aria-disabled": "true" }, inside));
  })));
  centre();
}
// The step one is at stays in sight on a narrow screen, also when the screen is turned.
function centre() {
  const here = $("steps").querySelector(".here");
  if (here) $("steps").scrollLeft = here.offsetLeft - ($("steps").clientWidth - here.clientWidth) / 2;
}
addEventListener("resize", centre);
store.listeners.push(draw);
store.link = (open, reason) => {
  document.body.classList.toggle("lost", !open);
  $("link").className = open ? "light on" : "light off";
  $("link").lastChild.textContent = open ? "connected" : reason || "the studio has ended; start it again";
};
addEventListener("hashchange", () => draw(store.state));
document.querySelector(".skip").onclick = (event) => { event.preventDefault(); $("screen-title")?.focus(); };
$("theme").onclick = () => {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("insula-theme", root.dataset.theme); } catch { /* storage may be forbidden */ }
};
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.matches("input, textarea")) return;
  const told = store.state?.table;
  if (!told || (event.shiftKey ? !told.redo : !told.undo)) return;
  event.preventDefault();
  inform.send({ type: event.shiftKey ? "redo" : "undo" });
});
connect();
