// The table of recordings: what was made of the files, to be corrected a cell, a row or a column at a time.
import { card, command, fill, h, next, plural } from "./dom.js";
import { Grid } from "./grid.js";
import { get } from "./store.js";

const PAGE = 50;
const MEANT = {
  file: "where the samples are", modality: "which signal it is", subject: "who", session: "which visit", trial: "which stretch of it",
  stimulus: "what was shown", role: "trial, or baseline (rest)", start: "seconds in the file", stop: "seconds in the file", onset: "seconds into the session",
  rate: "samples a second, where the file does not say", time: "the file's column of times", unit: "of the values", channels: "which of the file, with ; between",
  start_time: "clock time", stop_time: "clock time", zone: "of the clock, such as Europe/Berlin", clock_offset: "seconds the device is ahead", trials: "annotations: each one is a trial",
};
const NEEDED = ["file", "modality", "subject", "trial"];
let first = 0, find = "", found = 0, opened = null, waiting = null;
const grid = new Grid(MEANT);

export const table = {
  id: "table", step: "Table", title: (state) => (state.table ? "What was made of your files" : "Looking at your files"),
  hidden: (state) => state.folder && !state.folder.own,
  ready: (state) => Boolean(state.folder?.own && (state.table || state.work?.kind === "draft")),
  key: (state) => [state.table, state.reasons, opened, found, state.work?.standing === "running" ? state.work.kind : "", state.check?.fresh],
  render(state, inform) {
    const told = state.table;
    if (!told) return [h("p", { class: "lead" }, "Every file is looked at, to guess what it is. This can take a minute.")];
    const busy = state.work?.standing === "running", edit = (message) => inform.send(message);
    if (told.problem) return [card("The table cannot be read", h("p", { class: "bad" }, told.problem)), history(told, busy, edit),
      next("Draft it again from the files", () => inform.send({ type: "draft" }), { disabled: busy }), command(state.commands.table)];
    grid.attach(told.columns, busy, edit, (column) => { opened = opened === column ? null : column; redraw(); });
    load(inform);
    return [
      h("p", { class: "lead" }, `One row for each trial and signal, ${plural(told.rows, "row")}. Change what is wrong: it is saved at once, and can be taken back.`),
      unknown(state),
      h("section", { class: "card", "aria-label": "Table" }, toolbar(told, busy, edit), opened && told.columns.includes(opened) ? column(opened, told, busy, edit) : null, grid.element, pager()),
      guessed(state),
      next(state.check?.fresh ? "See what is there" : "Check it", () => { if (!state.check?.fresh && !busy) inform.send({ type: "check" }); inform.go("check"); }),
      command(state.commands.table, "The same draft in a terminal; then edit manifest.csv with any program"),
    ];
  },
};
const redraw = () => dispatchEvent(new HashChangeEvent("hashchange"));

async function load(inform) {
  const asked = `api/table?first=${first}&count=${PAGE}&find=${encodeURIComponent(find)}`;
  try {
    const told = await get(asked);
    if (told.found && first >= told.found) { first = Math.floor((told.found - 1) / PAGE) * PAGE; return load(inform); }
    grid.show(told.columns, told.rows);
    if (told.found !== found) { found = told.found; redraw(); }
  } catch (error) { inform.wrong(error.message); }
}
function toolbar(told, busy, edit) {
  const name = h("input", { id: "new-column", "aria-label": "Name of the new column", placeholder: "emotion", size: 10, maxlength: 64, required: true });
  return h("div", { class: "toolbar" },
    h("input", { id: "find", type: "search", "aria-label": "Find rows", placeholder: "Find rows", value: find, oninput: (event) => {
      find = event.target.value; first = 0; clearTimeout(waiting); waiting = setTimeout(() => load({ wrong: () => {} }), 250);
    } }),
    history(told, busy, edit),
    h("button", { type: "button", id: "drop-rows", class: "quiet", disabled: true, onclick: () => edit({ type: "drop", rows: grid.selected() }).then((done) => done && grid.clear()) }, "Drop selected rows"),
    h("form", { class: "remedy", onsubmit: (event) => { event.preventDefault(); edit({ type: "add_column", name: name.value.trim() }).then((done) => { if (done) { opened = name.value.trim(); redraw(); } }); } }, name, h("button", { type: "submit", class: "quiet", id: "add-column", disabled: busy }, "Add column")));
}
function history(told, busy, edit) {
  return h("span", { class: "remedy" },
    h("button", { type: "button", id: "undo", class: "quiet", disabled: busy || !told.undo, title: told.undo ?? "", onclick: () => edit({ type: "undo" }) }, "Undo", told.undo ? h("span", { class: "unseen" }, ` ${told.undo}`) : null),
    h("button", { type: "button", id: "redo", class: "quiet", disabled: busy || !told.redo, title: told.redo ?? "", onclick: () => edit({ type: "redo" }) }, "Redo", told.redo ? h("span", { class: "unseen" }, ` ${told.redo}`) : null));
}
// What one can do with a column: name it, fill it, take it out.
function column(name, told, busy, edit) {
  const renamed = h("input", { id: "rename", "aria-label": `New name of ${name}`, value: name, size: 12, maxlength: 64, required: true });
  const filled = h("input", { id: "fill", "aria-label": `Text for every row of ${name}`, placeholder: "text for every row", size: 14, maxlength: 400 });
  const act = (message, after) => (event) => { event?.preventDefault(); edit(message()).then((done) => { if (done) { opened = after?.() ?? null; redraw(); } }); };
  return h("section", { class: "column", "aria-label": `Column ${name}` },
    h("p", {}, h("b", {}, name), MEANT[name] ? `: ${MEANT[name]}` : told.labels.includes(name) ? ": a label, which can be recognised" : ""),
    h("div", { class: "toolbar" },
      h("form", { class: "remedy", onsubmit: act(() => ({ type: "rename", column: name, name: renamed.value.trim() }), () => renamed.value.trim()) }, renamed, h("button", { type: "submit", class: "quiet", disabled: busy }, "Rename")),
      h("form", { class: "remedy", onsubmit: act(() => ({ type: "fill", column: name, value: filled.value, rows: null }), () => name) }, filled, h("button", { type: "submit", class: "quiet", disabled: busy }, "Fill all rows")),
      h("button", { type: "button", id: "drop-column", class: "quiet", disabled: busy || NEEDED.includes(name), onclick: act(() => ({ type: "drop_column", column: name })) }, "Drop the column"),
      h("button", { type: "button", class: "quiet", onclick: () => { opened = null; redraw(); } }, "Close")));
}
function pager() {
  if (found <= PAGE && !find) return null;
  const go = (to) => { first = to; load({ wrong: () => {} }).then(redraw); };
  return h("div", { class: "line pager" }, h("button", { type: "button", id: "rows-before", class: "quiet", disabled: first === 0, onclick: () => go(Math.max(0, first - PAGE)) }, "← Before"),
    h("p", { role: "status" }, found ? `rows ${first + 1} to ${Math.min(found, first + PAGE)} of ${found}` : "no row holds that"),
    h("button", { type: "button", id: "rows-after", class: "quiet", disabled: first + PAGE >= found, onclick: () => go(first + PAGE) }, "Next →"));
}
function unknown(state) {
  const lines = Object.entries(state.reasons).find(([title]) => title.startsWith("What is not known"))?.[1] ?? [];
  return lines.length ? h("section", { class: "card proposal" }, h("h2", {}, "What could not be known"), h("ul", { class: "plain" }, lines.map((line) => h("li", {}, line)))) : null;
}
function guessed(state) {
  const told = Object.entries(state.reasons).filter(([title, lines]) => lines.length && !title.startsWith("What is not known"));
  return told.length ? h("details", { class: "card" }, h("summary", {}, "Why it looks like this"), told.map(([title, lines]) => [h("h3", {}, title), h("ul", { class: "plain small" }, lines.map((line) => h("li", {}, line)))])) : null;
}
