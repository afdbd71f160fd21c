// Elements without markup from strings: every text is a text node, so that a name can never become an element.
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled" || key === "indeterminate") made[key] = value;
    else if (key === "style") for (const [name, set] of Object.entries(value)) made.style.setProperty(name, set);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : document.createTextNode(String(c)))));
  return made;
}
export function svg(tag, props, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(props)) made.setAttribute(key, String(value));
  made.append(...children.flat(2));
  return made;
}
export const $ = (id) => document.getElementById(id);

// Replace what an element holds; the focus stays with the element of the same id, where there is one.
export function fill(place, ...children) {
  const at = document.activeElement, id = place.contains(at) ? at.id : "";
  const range = id && at.selectionStart !== undefined ? safe(() => [at.selectionStart, at.selectionEnd]) : null;
  place.replaceChildren(...children.flat(3).filter(Boolean));
  if (!id) return;
  const again = $(id);
  again?.focus({ preventScroll: true });
  if (again && range && range[0] !== null) safe(() => again.setSelectionRange(...range));
}
function safe(act) { try { return act(); } catch { return null; } }

// A screen's address: a route, and not the name of an element to jump to.
export const route = (id) => `#/${id}`;

export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
export function seconds(s) {
  if (s < 90) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
// The command that does the same, to copy.
export function command(text, what = "The same in a terminal") {
  if (!text) return null;
  const said = h("span", { class: "unseen", role: "status" });
  const copy = h("button", { class: "quiet small-button", type: "button", "aria-label": `Copy the command: ${what}`, onclick: async () => {
    try { await navigator.clipboard.writeText(text); said.textContent = "copied"; copy.textContent = "Copied"; }
    catch { said.textContent = "could not be copied; select the text"; }
  } }, "Copy");
  return h("div", { class: "command" }, h("span", { class: "command-what" }, what), h("code", { tabindex: "0" }, text), copy, said);
}
// The one next step of a screen.
export function next(label, go, props = {}) {
  const { note, ...rest } = props;
  return h("p", { class: "next" }, h("button", { type: "button", id: "next", class: "big", onclick: go, ...rest }, label, h("span", { "aria-hidden": "true" }, " →")), note ? h("span", { class: "soft" }, note) : null);
}
export const card = (title, ...inside) => h("section", { class: "card" }, title ? h("h2", {}, title) : null, ...inside);
