// A trial's signals and which seconds of them are spoiled.
import { h, command, next } from "./dom.js";

export const signals = {
  id: "signals", title: () => "Signals",
  ready: (state) => Boolean(state.check?.people?.length),
  key: (state) => [state.check?.people],
  render(state, inform) { return [h("p", {}, "..."), next("Back to what is there", () => inform.go("check")), command("")]; },
};
