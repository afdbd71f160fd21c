// What is there: counts, signals, labels, and every problem with its remedy.
import { card, command, h, next, plural, route, seconds } from "./dom.js";

export const check = {
  id: "check", step: "What is there", holds: ["signals"], title: () => "What is there",
  ready: (state) => Boolean(state.folder),
  key: (state) => [state.check, state.commands.check, state.cutting, state.table?.undo, state.table?.redo, state.work?.standing === "running" ? state.work.kind : "", state.folder],
  render(state, inform) {
    const found = state.check;
    if (!found) return [h("p", { class: "lead" }, busy(state) ? "Every file is looked at. This can take a few minutes." : "Nothing has been checked yet."),
      busy(state) ? null : [undo(state, inform), next("Check the recordings", () => inform.send({ type: "check" }))], command(state.commands.check)];
    const stale = !found.fresh && !busy(state);
    return [
      stale ? h("p", { class: "proposal" }, "The table has changed since. ", h("button", { type: "button", id: "again", onclick: () => inform.send({ type: "check" }) }, "Check again")) : null,
      h("p", { class: "lead" }, summary(found)),
      problems(state, found, inform),
      h("div", { class: "pair" }, card("Signals", signalTable(found), h("p", { class: "next" }, h("a", { class: "button quiet", href: route("signals") }, "Look at the signals"))), card("What was said or felt", found.targets.length ? found.targets.map(target) : h("p", {}, "No label yet: nothing here says what was felt."), found.targets.length || !state.folder.own ? null : label(state, inform))),
      next("Choose what to recognise", () => inform.go("question"), { disabled: !found.targets.length || busy(state), note: found.targets.length ? "" : "A label is needed first." }),
      command(state.commands.check),
    ];
  },
};
export const busy = (state) => state.work?.standing === "running" && ["draft", "check"].includes(state.work.kind);

function summary(found) {
  const [low, , high] = found.trial_seconds ?? [0, 0, 0];
  if (!found.people.length) return "Nothing could be read. The problems say why.";
  const long = high - low < 1 ? `of ${seconds(high)}` : `of ${seconds(low)} to ${seconds(high)}`;
  return `${plural(found.people.length, "person", "people")}, ${plural(found.trials, "trial")} ${long}, ${found.modalities.map((m) => m.modality).join(", ")}.`;
}
function problems(state, found, inform) {
  const all = [...found.problems, ...found.faults], items = all.filter((one) => one.level === "lost" || one.remedies.length), known = all.filter((one) => !items.includes(one));
  return card(items.length ? `Problems (${items.length})` : "Problems", items.length ? h("ul", { class: "problems" }, items.map((one) => problem(state, one, inform))) : h("p", { class: "good" }, "None found."), undo(state, inform), cut(state, inform),
    known.length ? h("details", {}, h("summary", {}, `What was taken for granted (${known.length})`), h("ul", { class: "problems" }, known.map((one) => problem(state, one, inform)))) : null);
}
// The last change of the table can be taken back, and so can other windows.
export function undo(state, inform) {
  if (!state.table?.undo) return null;
  return h("p", { class: "actions" }, h("button", { type: "button", id: "undo", class: "quiet", disabled: state.work?.standing === "running", onclick: () => inform.send({ type: "undo" }).then((done) => done && inform.send({ type: "check" })) }, `Undo: ${state.table.undo}`));
}
function cut(state, inform) {
  const { window_s, hop_s, guard_s } = state.cutting;
  if (window_s === null && hop_s === null && guard_s === null) return null;
  const told = [window_s && `windows of ${window_s} s`, hop_s && `one every ${hop_s} s`, guard_s !== null && `${guard_s} s left out at a trial's start`].filter(Boolean).join(", ");
  return h("p", { class: "actions" }, h("span", {}, `Cut as you said: ${told}.`), h("button", { type: "button", id: "usual", class: "quiet", disabled: busy(state), onclick: () => inform.send({ type: "cutting" }) }, "Cut as usual"));
}
function problem(state, one, inform) {
  return h("li", { class: one.level === "lost" ? "left-out" : "" }, h("span", { class: "mark" }, one.level === "lost" ? "Left out" : "To know"),
    h("div", {}, h("p", {}, one.text), one.where ? h("p", { class: "soft small" }, one.where) : null,
      one.remedies.length ? h("div", { class: "actions" }, one.remedies.map((remedy) => remedyButton(state, remedy, inform))) : null));
}
function label(state, inform) {
  const name = h("input", { id: "label-name", "aria-label": "Name of the label", value: "emotion", size: 12, maxlength: 64, required: true });
  return h("form", { class: "remedy", onsubmit: async (event) => { event.preventDefault(); if (await inform.send({ type: "add_column", name: name.value.trim() })) inform.go("table"); } }, name, h("button", { type: "submit", class: "quiet", disabled: state.work?.standing === "running" }, "Add a column for it and fill it"));
}
// Remedies are about the table that was checked.
const shut = (state) => state.work?.standing === "running" || !state.check?.fresh;
function remedyButton(state, remedy, inform) {
  const act = (value) => inform.send(value === undefined ? remedy.message : { ...remedy.message, [remedy.ask.field]: value }).then((done) => { if (done && remedy.check) inform.send({ type: "check" }); });
  if (!remedy.ask) return h("button", { type: "button", class: "quiet", disabled: shut(state), onclick: () => act() }, remedy.label);
  const input = remedy.ask.choices
    ? h("select", { "aria-label": remedy.ask.label }, remedy.ask.choices.map((c) => h("option", { value: c }, c)))
    : h("input", { "aria-label": remedy.ask.label, placeholder: remedy.ask.label, required: true, size: Math.max(8, remedy.ask.label.length), maxlength: 400 });
  return h("form", { class: "remedy", onsubmit: (event) => { event.preventDefault(); act(input.value.trim()); } }, input, h("button", { type: "submit", class: "quiet", disabled: shut(state) }, remedy.label));
}
function signalTable(found) {
  if (!found.modalities.length) return h("p", {}, "None could be read.");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Signals" }, h("table", {},
    h("thead", {}, h("tr", {}, ["signal", "a second", "channels", "minutes", "missing", "spoiled"].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, found.modalities.map((m) => h("tr", {}, h("th", { scope: "row" }, m.modality), h("td", {}, m.rates_hz.map((r) => (r ? `${+r.toFixed(2)}` : "beats")).join(", ")),
      h("td", {}, m.channels.length === 1 && m.channels[0].length < 4 ? m.channels[0].join(", ") : [...new Set(m.channels.map((c) => c.length))].join(" or ")), h("td", {}, m.minutes.toFixed(0)), h("td", {}, `${(100 * m.missing).toFixed(m.missing ? 1 : 0)} %`), h("td", {}, spoiled(m.flags)))))));
}
function spoiled(flags) {
  const told = Object.entries(flags).filter(([, share]) => share >= 0.0005).map(([flag, share]) => `${flag} ${(100 * share).toFixed(1)} %`);
  return told.join(", ") || (Object.keys(flags).length ? "no" : "not judged");
}
function target(t) {
  if (t.continuous) {
    const [low, middle, high] = t.value_range ?? [NaN, NaN, NaN];
    return h("div", { class: "target" }, h("h3", {}, t.target), h("p", {}, `a number, ${+low.toFixed(2)} to ${+high.toFixed(2)}, middle ${+middle.toFixed(2)}`));
  }
  const most = Math.max(...Object.values(t.trials));
  const shown = Object.entries(t.trials).slice(0, 12), rest = Object.keys(t.trials).length - shown.length;
  return h("div", { class: "target" }, h("h3", {}, t.target), h("ul", { class: "counts" }, shown.map(([name, n]) => h("li", {}, h("span", {}, name), h("span", { class: "track", "aria-hidden": "true" }, h("i", { style: { width: `${(100 * n) / most}%` } })), h("span", { class: "figure" }, plural(n, "trial"))))),
    rest > 0 ? h("p", { class: "soft" }, `and ${rest} more`) : null, t.opening ? h("p", { class: "soft" }, t.opening) : null);
}
