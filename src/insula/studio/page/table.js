// The table of recordings.
import { h, next, command } from "./dom.js";

export const table = {
  id: "table", step: "Table", title: () => "What I made of your files",
  hidden: (state) => state.folder && !state.folder.own,
  ready: (state) => Boolean(state.folder?.own && (state.table || state.work?.kind === "draft")),
  key: (state) => [state.table, state.reasons],
  render(state, inform) { return [h("p", {}, "..."), next("This is right", () => inform.go("check")), command(state.commands.table)]; },
};
