// What is to be recognised, and what is to be known about it; what the data do not allow is grey, with the reason.
import { card, command, h, next, plural } from "./dom.js";
import { busy } from "./check.js";

const DEPTHS = [
  ["rehearsal", "A rehearsal", "Shows what will come out, in a minute or two. The network is hardly trained: its figures say little."],
  ["first", "A first look", "The network beside simple rows and a clock. Minutes."],
  ["everything", "Everything", "Also its variants and what it looked at. Longer."],
];
export const question = {
  id: "question", step: "Question", title: () => "What do you want to know?",
  ready: (state) => Boolean(state.check?.targets?.length),
  key: (state) => [state.check?.targets, state.choice, state.cutting, state.commands.train, state.ways, busy(state), state.work?.standing === "running"],
  render(state, inform) {
    const targets = state.check.targets, possible = (t) => state.ways.some((w) => !w.leaky && t.protocols[w.name] === null);
    const chosen = state.choice ?? {};
    const target = targets.find((t) => t.target === chosen.target) ?? null;
    const send = (change) => {
      const t = targets.find((one) => one.target === (change.target ?? chosen.target)) ?? targets.find(possible);
      let protocol = change.protocol ?? chosen.protocol;
      if (!t) return;
      if (t.protocols[protocol] !== null) protocol = state.ways.find((w) => t.protocols[w.name] === null)?.name ?? protocol;
      if (protocol) inform.send({ type: "choose", target: t.target, protocol, depth: change.depth ?? chosen.depth ?? "first" });
    };
    const ready = target && target.protocols[chosen.protocol] === null;
    const clean = state.ways.filter((w) => !w.leaky), leaky = state.ways.filter((w) => w.leaky);
    return [
      h("fieldset", { class: "card" }, h("legend", {}, "What shall be recognised?"), h("div", { class: "choices" }, targets.map((t, i) => {
        const can = state.ways.some((w) => t.protocols[w.name] === null);
        return choice("target", `target-${i}`, t.target, about(t), t === target, can, can ? "" : reason(t), () => send({ target: t.target }));
      }))),
      h("fieldset", { class: "card" }, h("legend", {}, "What do you want to know about it?"),
        target ? null : h("p", { class: "soft" }, "Choose what shall be recognised first."),
        h("div", { class: "choices" }, clean.map((w) => way(w, target, chosen, send))),
        h("details", { open: leaky.some((w) => w.name === chosen.protocol) }, h("summary", {}, "As much published work did it (leaky)"),
          h("p", { class: "soft small" }, "Windows of one trial stand on both sides. The figure is high whatever the signals hold, and is marked leaky everywhere."),
          h("div", { class: "choices" }, leaky.map((w) => way(w, target, chosen, send))))),
      h("fieldset", { class: "card" }, h("legend", {}, "How thoroughly?"), h("div", { class: "choices three" }, DEPTHS.map(([depth, title, text]) => choice("depth", `depth-${depth}`, title, text, (chosen.depth ?? "first") === depth, true, "", () => send({ depth }))))),
      cutting(state, inform),
      next("Train", async () => { if (await inform.send({ type: "train" })) inform.go("training"); }, { disabled: !ready || state.work?.standing === "running", note: ready ? "" : "Choose one of each first." }),
      command(state.commands.train),
    ];
  },
};

function choice(group, id, title, text, checked, can, why, act) {
  return h("label", { class: `choice${can ? "" : " shut"}`, for: id },
    h("input", { type: "radio", name: group, id, checked, disabled: !can, onchange: act, "aria-describedby": `${id}-text` }),
    h("span", {}, h("b", {}, title), h("span", { id: `${id}-text`, class: "soft" }, text, why ? h("span", { class: "why-not" }, `Not possible: ${why}`) : null)));
}
function way(w, target, chosen, send) {
  const why = target ? target.protocols[w.name] : "";
  const can = Boolean(target) && why === null;
  return choice("protocol", `way-${w.name}`, w.question || w.name, `Recognised ${w.where}. Needs ${w.needs}.`, can && chosen.protocol === w.name, can, target && !can ? plain(why, w.name) : "", () => send({ protocol: w.name }));
}
// What stands in the way, without the name of the protocol and without what is said beside it anyway.
function plain(why, name) {
  if (why === undefined || why === null) return "no trial is long enough for a window";
  const said = why.split("; expected")[0].replace(`${name} `, "").replace(/^impossible for every person \((.*)\)$/, "$1").replace(/^(with|impossible:?) /, "");
  const parts = said.split("; ");
  return parts.length > 3 ? `${parts.slice(0, 3).join("; ")}; and ${parts.length - 3} more` : said;
}
function reason(t) {
  const [name, why] = Object.entries(t.protocols).find(([, one]) => one) ?? [];
  return plain(why, name);
}
function about(t) {
  if (t.continuous) return `A number from ${+t.value_range[0].toFixed(2)} to ${+t.value_range[2].toFixed(2)}, of ${plural(t.people, "person", "people")}.`;
  const labels = Object.entries(t.trials);
  return `${labels.slice(0, 8).map(([name, n]) => `${name} ${n}`).join(", ")}${labels.length > 8 ? ", ..." : ""} (trials), of ${plural(t.people, "person", "people")}.`;
}
function cutting(state, inform) {
  const field = (name, label, least) => h("label", {}, label, h("input", { id: `cut-${name}`, type: "number", min: least, step: "any", inputmode: "decimal", value: state.cutting[name] ?? "", placeholder: "as usual" }));
  const read = (form, name) => { const text = form.querySelector(`#cut-${name}`).value; return text === "" ? null : Number(text); };
  return h("details", { class: "card" }, h("summary", {}, "How trials are cut into windows"),
    h("form", { class: "line cut", onsubmit: (event) => {
      event.preventDefault();
      const form = event.currentTarget;
      inform.send({ type: "cutting", window_s: read(form, "window_s"), hop_s: read(form, "hop_s"), guard_s: read(form, "guard_s") });
    } }, field("window_s", "window, s", 0.1), field("hop_s", "one every, s", 0.1), field("guard_s", "left out at the start, s", 0), h("button", { type: "submit", class: "quiet" }, "Check with these")));
}
