// A person's trials: how good each signal is, and the curves of one of them with its spoiled seconds.
import { busy, undo } from "./check.js";
import { card, command, h, next, plural, route, seconds, svg } from "./dom.js";
import { get } from "./store.js";

const WIDE = 720, TALL = 96;
let whose = null, sight = null, at = 0, asked = "", stamp = 0;

export const signals = {
  id: "signals", title: () => "Signals and their quality",
  ready: (state) => Boolean(state.check?.people?.length),
  key: (state) => [state.check?.people, state.looked, state.work?.kind === "look" ? state.work.standing : running(state), whose, at, stamp, state.table?.undo],
  render(state, inform) {
    const people = state.check.people;
    if (!people.includes(whose)) whose = people.includes(state.looked) ? state.looked : people[0];
    const here = sight?.subject === whose && state.looked === whose ? sight : null;
    if (!here) fetchOrAsk(state, inform);
    const select = h("select", { id: "whose", onchange: (event) => { whose = event.target.value; at = 0; redraw(); } }, people.map((p) => h("option", { value: p, selected: p === whose ? "selected" : null }, p)));
    const back = h("a", { href: route("check"), class: "button quiet" }, "← What is there");
    return [
      h("div", { class: "line" }, h("label", { for: "whose" }, "Person"), select, back),
      here ? [overview(here), detail(state, here, inform)] : h("p", { class: "soft" }, state.work?.kind === "look" && state.work.standing === "failed" ? "The signals could not be read." : running(state) && state.work.kind !== "look" ? "They are read when the work above is done." : "The signals are being read ..."),
      undo(state, inform),
      next("Choose what to recognise", () => inform.go("question"), { disabled: !state.check.targets.length }),
      command(lookCommand(state)),
    ];
  },
};
const running = (state) => state.work?.standing === "running";
const redraw = () => dispatchEvent(new HashChangeEvent("hashchange"));
const lookCommand = (state) => state.commands.look?.replace("PERSON", whose);

async function fetchOrAsk(state, inform) {
  if (state.looked === whose) {
    sight = await get("api/signals").catch(() => null);
    if (sight?.subject === whose) { at = Math.min(at, sight.trials.length - 1); sightChanged(); }
    return;
  }
  const want = `${whose} ${state.table?.mark ?? ""}`;
  if (running(state) || asked === want) return;
  asked = want;
  inform.send({ type: "look", subject: whose });
}
function sightChanged() { asked = ""; stamp += 1; redraw(); }

function overview(found) {
  const labels = [...new Set(found.trials.flatMap((t) => Object.keys(t.labels)))].slice(0, 3);
  const pick = (i) => { at = i; redraw(); };
  return card("Trials", h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Trials and their quality" }, h("table", { class: "quality" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "trial"), labels.map((l) => h("th", { scope: "col" }, l)), found.modalities.map((m) => h("th", { scope: "col" }, m)))),
    h("tbody", {}, found.trials.map((t, i) => h("tr", { class: i === at ? "here" : "" },
      h("th", { scope: "row" }, h("button", { type: "button", class: "quiet small-button", id: `trial-${i}`, "aria-pressed": i === at ? "true" : "false", onclick: () => pick(i) }, name(t))),
      labels.map((l) => h("td", {}, said(t.labels[l], t.role))),
      found.modalities.map((m) => grade(t.signals.find((s) => s.modality === m)))))))),
  found.more ? h("p", { class: "soft" }, `and ${plural(found.more, "more trial")}.`) : null,
  h("p", { class: "soft small" }, "The share of seconds that are spoiled: flat, clipped, missing, full of mains hum, or moved."));
}
const name = (t) => (t.session === "only" ? t.trial : `${t.session} / ${t.trial}`);
const said = (value, role) => (value === undefined ? (role === "baseline" ? "rest" : "") : typeof value === "number" ? String(+value.toFixed(2)) : value);
function grade(signal) {
  if (!signal) return h("td", { class: "soft" }, "not there");
  if (!signal.judged) return h("td", { class: "soft" }, "not judged");
  const share = signal.seconds ? signal.spoiled.length / signal.seconds : 0;
  return h("td", { class: share >= 0.5 ? "bad" : share >= 0.05 ? "doubt" : "good" }, share < 0.005 ? "good" : `${Math.round(100 * share)} % spoiled`);
}
function detail(state, found, inform) {
  const trial = found.trials[at];
  if (!trial) return null;
  const go = (by) => { at = (at + by + found.trials.length) % found.trials.length; redraw(); };
  const labels = Object.entries(trial.labels).map(([k, v]) => `${k} ${said(v)}`).join(", ");
  return card(null, h("div", { class: "line" }, h("h2", { class: "grow" }, name(trial)),
    h("button", { type: "button", id: "before", class: "quiet", onclick: () => go(-1) }, "← Before"), h("button", { type: "button", id: "after", class: "quiet", onclick: () => go(1) }, "Next one →")),
    h("p", { class: "soft" }, [seconds(trial.seconds), labels, trial.role === "baseline" ? "rest, never tested" : "", trial.stimulus ? `stimulus ${trial.stimulus}` : ""].filter(Boolean).join(" · ")),
    trial.signals.map((one) => plot(one, trial)),
    state.folder.own ? h("div", { class: "actions" }, h("button", { type: "button", id: "drop-trial", class: "quiet", disabled: busy(state) || running(state), onclick: async () => {
      if (await inform.send({ type: "drop_trials", trials: [[found.subject, trial.session, trial.trial]] })) { at = Math.max(0, at - 1); inform.send({ type: "check" }); inform.say("Dropped; undo takes it back."); }
    } }, "Drop this trial")) : null);
}
function plot(one, trial) {
  const flags = Object.entries(one.flags).filter(([, share]) => share >= 0.005).map(([flag, share]) => `${flag} ${Math.round(100 * share)} %`);
  const verdict = one.judged ? (flags.length ? `spoiled: ${flags.join(", ")}` : "good") : "not judged";
  const rate = one.rate_hz ? `${+one.rate_hz.toFixed(2)} a second` : "one a beat";
  const curves = one.curves.map((c, i) => curve(c, i, one, trial));
  return h("figure", { class: "signal" }, h("figcaption", {}, h("b", {}, one.modality), h("span", { class: "soft" }, ` ${one.unit}, ${rate}${one.channels > one.curves.length ? `, ${one.curves.length} of ${one.channels} channels` : ""}`), h("span", { class: flags.length ? "bad" : one.judged ? "good" : "soft" }, ` · ${verdict}`)), curves);
}
function curve(told, index, one, trial) {
  const known = [...told.low, ...told.high].filter((v) => v !== null);
  const low = Math.min(...known), high = Math.max(...known), span = high - low || 1;
  const tall = one.curves.length > 1 ? TALL * 0.6 : TALL;
  const x = (i) => ((i + 0.5) / told.low.length) * WIDE, y = (v) => 4 + (1 - (v - low) / span) * (tall - 8);
  let path = "", open = false;
  told.low.forEach((v, i) => {
    if (v === null) { open = false; return; }
    path += `${open ? "L" : "M"}${x(i).toFixed(1)} ${y(told.high[i]).toFixed(1)}L${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    open = true;
  });
  const width = WIDE / Math.max(1, trial.seconds);
  const text = known.length ? `${told.channel} from ${+low.toPrecision(3)} to ${+high.toPrecision(3)} ${one.unit}, ${plural(one.spoiled.length, "second")} spoiled` : `${told.channel}: nothing measured`;
  return h("div", { class: "curve" }, h("span", { class: "scale-of soft" }, known.length ? [h("span", {}, `${+high.toPrecision(4)}`), one.curves.length > 1 ? h("b", {}, told.channel) : null, h("span", {}, `${+low.toPrecision(4)}`)] : "nothing measured"),
    svg("svg", { viewBox: `0 0 ${WIDE} ${tall}`, role: "img", "aria-label": text, preserveAspectRatio: "none" },
      one.spoiled.map((s) => svg("rect", { class: "spoiled", x: (s * width).toFixed(1), y: 0, width: width.toFixed(1), height: tall })),
      svg("path", { d: path, class: "trace" })));
}
