// What one does with a run: go live, take it elsewhere.
import { card, command, h } from "./dom.js";
import { pick, picker } from "./report.js";

let model = null;
const FILES = [
  ["card", "card.md", "Model card", "What it is, on whom it was measured, its limits, in words."],
  ["table", "table.csv", "Table of results", "A row a system, for spreadsheets, R and SPSS."],
  ["predictions", "predictions.csv", "Every prediction", "A row a window: what was true, what was said, how sure."],
  ["onnx", "onnx/model.onnx", "Model for other programs (ONNX)", "One step a call, checked against this one."],
];
export const use = {
  id: "use", step: "Use", title: () => "Use the model",
  ready: (state) => state.runs.length > 0,
  key: (state) => [state.runs, state.live, state.work?.standing === "running" ? state.work.kind : state.work?.standing, pick(state)?.name, model, state.check?.people],
  render(state, inform) {
    const run = pick(state), busy = state.work?.standing === "running", redraw = () => dispatchEvent(new HashChangeEvent("hashchange"));
    if (!run.models.includes(model)) model = run.models[0] ?? null;
    return [
      picker(state, redraw),
      run.models.length > 1 ? h("p", { class: "line" }, h("label", { for: "whose" }, "Whose model"), h("select", { id: "whose", onchange: (event) => { model = event.target.value; redraw(); } }, run.models.map((m) => h("option", { value: m, selected: m === model ? "selected" : null }, m)))) : null,
      live(state, run, inform),
      card("Take it with you", h("ul", { class: "files" }, FILES.map(([what, file, title, text]) => {
        const there = run.files.includes(file), needs = what === "onnx" && !run.models.length;
        return h("li", {}, h("div", {}, h("b", {}, title), h("p", { class: "soft" }, needs ? "This run kept no model." : text)),
          h("div", { class: "actions" }, there ? (what === "onnx" ? run.files.filter((f) => f.startsWith("onnx/")) : [file]).map((f) => h("a", { class: "button quiet", id: `save-${f}`, href: `runs/${encodeURIComponent(run.name)}/${f}`, download: "" }, `Save ${f.replace("onnx/", "")}`)) : null,
            h("button", { type: "button", id: `make-${what}`, class: "quiet", disabled: busy || needs, onclick: () => inform.send({ type: "export", run: run.name, what, model: what === "onnx" ? model : null }) }, there ? "Write again" : "Write")));
      })), state.work?.kind === "export" ? command(state.work.command) : null),
    ];
  },
};
function live(state, run, inform) {
  if (!run.models.length) return card("Go live", h("p", {}, "This run kept no model."));
  const now = state.live?.run === run.name ? state.live : null;
  if (now && !now.error) return card("Go live", h("p", {}, now.url ? "The live page is open at " : "The live page is starting ...", now.url ? h("a", { id: "live-link", href: now.url, target: "_blank", rel: "noopener" }, now.url) : null),
    h("div", { class: "actions" }, h("button", { type: "button", id: "end-live", class: "quiet", onclick: () => inform.send({ type: "end_live" }) }, "End it")), command(now.command));
  const people = state.check?.people ?? [];
  const source = h("select", { id: "source" }, state.folder.own ? people.map((p) => h("option", { value: `replay:${state.folder.data}|${p}` }, `the recording of ${p}, played again`)) : h("option", { value: "simulate" }, "a simulated person"), h("option", { value: "lsl" }, "a headset or wristband (LSL)"));
  return card("Go live", h("p", {}, "A page that shows signals and chances as they come, and learns from your labels."), now?.error ? h("p", { class: "bad" }, now.error) : null,
    h("form", { class: "line", onsubmit: (event) => {
      event.preventDefault();
      const [from, subject] = source.value.split("|");
      inform.send({ type: "live", run: run.name, source: from, model, subject: subject ?? null });
    } }, h("label", { for: "source" }, "from"), source, h("button", { type: "submit", id: "go-live", class: "big" }, "Go live")));
}
