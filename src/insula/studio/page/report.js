// The report of a run, in the page and as a file.
import { h, next, command } from "./dom.js";

let chosen = null;
export const pick = (state) => state.runs.find((r) => r.name === chosen) ?? state.runs[0];
export function picker(state, redraw) {
  if (state.runs.length < 2) return null;
  return h("p", { class: "line" }, h("label", { for: "run" }, "Run"), h("select", { id: "run", onchange: (event) => { chosen = event.target.value; redraw(); } },
    state.runs.map((r) => h("option", { value: r.name, selected: r === pick(state) ? "selected" : null }, `${r.name}${r.made ? `, ${r.made.slice(0, 10)}` : ""}`))));
}
export const report = {
  id: "report", step: "Report", title: (state) => `Report: ${pick(state)?.target || pick(state)?.name || ""}`,
  ready: (state) => state.runs.length > 0,
  key: (state) => [state.runs, chosen],
  render(state, inform) {
    const run = pick(state), at = `runs/${encodeURIComponent(run.name)}/report.html`;
    return [
      picker(state, () => dispatchEvent(new HashChangeEvent("hashchange"))),
      run.sentence ? h("p", { class: `lead verdict ${run.tone}` }, run.sentence) : null,
      h("div", { class: "actions" }, h("a", { class: "button quiet", href: at, target: "_blank", rel: "noopener" }, "Open in a window of its own"), h("a", { class: "button quiet", href: `${at}?save=1`, download: "" }, "Save the page")),
      run.files.includes("report.html") ? h("iframe", { id: "report-frame", class: "report", src: at, title: `Report of ${run.name}`, sandbox: "allow-scripts allow-downloads allow-popups" }) : h("p", {}, "This run has no report page."),
      next("Use the model", () => inform.go("use")),
      command(run.command),
    ];
  },
};
