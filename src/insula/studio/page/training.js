// While it trains, and what came of it.
import { command, h, next } from "./dom.js";

let watched = false;

export const training = {
  id: "training", step: "Training", title: (state) => (on(state) ? "Training" : "Trained"),
  ready: (state) => state.work?.kind === "train" || state.runs.length > 0,
  key: (state) => [on(state), state.work?.kind, state.work?.standing, state.runs[0]?.name, state.choice],
  render(state, inform) {
    const ended = watched && !on(state);
    watched = on(state);
    if (ended && state.work?.standing === "done") { queueMicrotask(() => inform.go("report")); return []; }
    if (on(state)) return [h("p", { class: "lead" }, `Recognising ${state.choice?.target ?? "it"}: parts of the recordings are held out in turn, and a model that never saw them answers.`),
      h("p", { class: "soft" }, "The report opens when it is done. You may close this window and come back.")];
    if (state.work?.kind === "train" && state.work.standing !== "done") return [next("Back to the question", () => inform.go("question"))];
    const run = state.runs[0];
    return [h("p", { class: "lead" }, run ? run.sentence : "Nothing has been trained yet."), run ? next("Read the report", () => inform.go("report")) : null, command(state.commands.train)];
  },
};
const on = (state) => state.work?.kind === "train" && state.work.standing === "running";
