// First screen: where are your recordings?
import { $, card, fill, h, plural } from "./dom.js";
import { get } from "./store.js";

export const where = {
  id: "where", step: "Recordings", title: () => "Where are your recordings?",
  hidden: (state) => state.fixed,
  ready: (state) => !state.fixed,
  key: (state) => [state.folder?.path, state.home],
  render(state, inform) {
    const list = h("div", { id: "places", class: "places" });
    const path = h("input", { id: "path", name: "path", autocomplete: "off", spellcheck: "false", placeholder: `${state.home}/my_study`, value: state.folder?.own ? state.folder.path : "" });
    const open = async (at) => { if (await inform.send({ type: "open", path: at })) inform.go("check"); };
    const walk = async (at) => {
      try { fill(list, rows(await get(`api/places?path=${encodeURIComponent(at)}`), walk, open)); }
      catch (error) { inform.wrong(error.message); }
    };
    walk(state.folder?.own ? state.folder.path : state.home);
    return [
      state.folder ? h("p", { class: "lead" }, `Open now: ${state.folder.own ? state.folder.path : state.folder.title}. Choose another folder, or go on.`)
        : h("p", { class: "lead" }, "Point at the folder in which everything lies: signals, questionnaires, logs, in whatever order. Nothing in it is changed; a table of what is there is written beside it."),
      card("Find the folder", list,
        h("form", { class: "line", onsubmit: (event) => { event.preventDefault(); if (path.value.trim()) open(path.value.trim()); } },
          h("label", { for: "path" }, "or type its path"), path, h("button", { type: "submit", class: "quiet" }, "Open"))),
      card("No recordings yet?", h("p", {}, "Six simulated people, whose truth is known, show every step from the folder to a model. The figures say that the machine works, nothing about people."),
        h("p", { class: "next" }, h("button", { type: "button", id: "demo", class: "quiet", onclick: async () => { if (await inform.send({ type: "demo" })) inform.go("check"); } }, "Use simulated people"))),
    ];
  },
};

function rows(told, walk, open) {
  const said = told.files ? plural(told.files, "file") : "no files of its own";
  return [
    h("div", { class: "line here-line" },
      h("button", { type: "button", class: "quiet", id: "up", disabled: told.above === null, onclick: () => walk(told.above), "aria-label": "To the folder above" }, "↑ Up"),
      h("p", { class: "path" }, h("b", {}, told.path), ` · ${said}${told.manifest ? ", with a table" : ""}`),
      h("button", { type: "button", id: "this", class: "big", onclick: () => open(told.path) }, "They are here")),
    told.folders.length ? h("ul", { class: "folders", "aria-label": "Folders inside" }, told.folders.map((name) =>
      h("li", {}, h("button", { type: "button", class: "quiet", onclick: () => walk(`${told.path}/${name}`) }, h("span", { "aria-hidden": "true" }, "▸ "), name))))
      : h("p", { class: "soft" }, "No folders inside."),
    told.more ? h("p", { class: "soft" }, `and ${plural(told.more, "more folder")}: type the path.`) : null,
  ];
}
