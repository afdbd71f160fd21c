// First screen: where are your recordings?
import { $, card, fill, h, plural } from "./dom.js";
import { get } from "./store.js";

export const where = {
  id: "where", step: "Recordings", title: () => "Where are your recordings?",
  hidden: (state) => state.fixed,
  ready: (state) => !state.fixed,
  key: (state) => [state.folder?.path, state.home],
  render(state, inform) {
    const list = h("div", { id: "places", class: "places" }), again = h("div", { id: "dropped" });
    const path = h("input", { id: "path", name: "path", autocomplete: "off", spellcheck: "false", placeholder: `${state.home}/my_study`, value: state.folder?.own ? state.folder.path : "" });
    const open = async (at) => { if (await inform.send({ type: "open", path: at })) inform.go("check"); };
    const walk = async (at) => {
      try { fill(list, rows(await get(`api/places?path=${encodeURIComponent(at)}`), walk, open)); }
      catch (error) { inform.wrong(error.message); }
    };
    walk(state.folder?.own ? state.folder.path : state.home);
    return [
      state.folder ? h("p", { class: "lead" }, `Open now: ${state.folder.own ? state.folder.path : state.folder.title}. Choose another folder, or go on.`)
        : h("p", { class: "lead" }, "Point at the folder in which everything lies: signals, questionnaires, logs, in whatever order. Your files stay as they are; a table of what is there is put beside them."),
      dropping(card("Drop the folder here, or find it", list, again,
        h("form", { class: "line", onsubmit: (event) => { event.preventDefault(); if (path.value.trim()) open(path.value.trim()); } },
          h("label", { for: "path" }, "or type its path"), path, h("button", { type: "submit", class: "quiet" }, "Open"))), again, open, () => list.querySelector(".path b")?.textContent ?? "", inform),
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

// A page is never told the path of what is dropped on it: the studio looks for a folder of that name that holds the same.
function dropping(place, again, open, from, inform) {
  place.addEventListener("dragover", (event) => { event.preventDefault(); place.classList.add("over"); });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", async (event) => {
    event.preventDefault();
    place.classList.remove("over");
    const entry = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).find(Boolean);
    if (!entry?.isDirectory) { inform.wrong("That is no folder. Drop the folder in which the recordings lie."); return; }
    const inside = await new Promise((done) => { entry.createReader().readEntries(done, () => done([])); });
    await look(entry.name, inside.slice(0, 10).map((one) => one.name), again, open, from(), inform);
  });
  return place;
}
async function look(name, holds, again, open, from, inform) {
  fill(again, h("p", { class: "soft", role: "status" }, `Looking for ${name} ...`));
  try {
    const asked = new URLSearchParams([["path", from], ["named", name], ...holds.map((one) => ["holds", one])]);
    const found = await get(`api/places?${asked}`);
    if (found.length === 1) { open(found[0]); return; }
    fill(again, found.length ? [h("p", {}, `Which ${name}?`), h("ul", { class: "folders" }, found.map((path) => h("li", {}, h("button", { type: "button", class: "quiet", onclick: () => open(path) }, path))))]
      : h("p", {}, `${name} was not found below your home folder. Find it above, or type its path.`));
  } catch (error) { inform.wrong(error.message); }
}
