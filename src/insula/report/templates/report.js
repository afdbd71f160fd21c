"use strict";
// Sort a table by a column: numbers by data-v, text by its letters; a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const down = head.ariaSort ? head.ariaSort === "ascending" : numeric;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.v ?? "";
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = numeric ? x - y : x.localeCompare(y, undefined, { numeric: true });
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      // Pages opened from disk may not write the clipboard: select the text instead.
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
// Save a figure or a table: everything is made from this page, nothing is fetched.
const stem = document.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
function save(href, name) {
  const link = document.createElement("a");
  link.href = href;
  link.download = `${stem}-${name}`;
  link.click();
}
function drawing(figure) {
  // Inks become the light page's colours, so that a saved figure is the same on every screen.
  const svg = figure.querySelector(".wide svg");
  return new XMLSerializer().serializeToString(svg).replace(/var\(--[\w-]+, (#[0-9a-f]{6})\)/g, "$1").replace(/ class="plot"/, "");
}
for (const button of document.querySelectorAll("figure .save button")) {
  button.parentElement.hidden = false;
  button.addEventListener("click", () => {
    const figure = button.closest("figure"), text = drawing(figure), name = figure.id.replace("fig-", "");
    const source = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    if (button.dataset.save === "svg") return save(source, `${name}.svg`);
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = 3 * image.width;
      canvas.height = 3 * image.height;
      const pen = canvas.getContext("2d");
      pen.fillStyle = "#ffffff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      save(canvas.toDataURL("image/png"), `${name}.png`);
    };
    image.src = source;
  });
}
function quoted(text) {
  // A cell that a spreadsheet would run as a formula gets an apostrophe; numbers stay numbers.
  const plain = text.trim().replace(/\s+/g, " ");
  const safe = /^[=+\-@\t\r]/.test(plain) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(plain) ? `'${plain}` : plain;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
for (const scroll of document.querySelectorAll(".scroll")) {
  const table = scroll.querySelector("table");
  const tools = document.createElement("div");
  tools.className = "save";
  tools.innerHTML = '<button type="button">CSV</button>';
  scroll.after(tools);
  tools.firstChild.addEventListener("click", () => {
    const cells = (row) => [...row.cells].map((c) => {
      const small = c.querySelector("small"), main = c.cloneNode(true);
      main.querySelectorAll("small").forEach((s) => s.remove());
      return [c.dataset.v || main.textContent, c.tagName === "TD" && small ? small.textContent : ""];
    });
    const lines = [...table.rows].map(cells), wide = lines[0].map((_, i) => lines.some((l) => l[i]?.[1]));
    const text = lines.map((line, n) => line.flatMap(([v, s], i) =>
      wide[i] ? [quoted(v), quoted(n ? s : `${v} (interval or note)`)] : [quoted(v)]).join(",")).join("\r\n");
    save("data:text/csv;charset=utf-8," + encodeURIComponent("\ufeff" + text), `${table.dataset.name || "table"}.csv`);
  });
  const cue = document.createElement("p");
  cue.className = "cue";
  cue.textContent = "more columns: scroll sideways →";
  const look = () => {
    const hidden = scroll.scrollWidth - scroll.clientWidth;
    scroll.classList.toggle("more", hidden - scroll.scrollLeft > 4);
    if (hidden > 4 && !cue.isConnected) scroll.before(cue);
    if (hidden <= 4) cue.remove();
  };
  scroll.addEventListener("scroll", look, { passive: true });
  addEventListener("resize", look);
  scroll.closest("details")?.addEventListener("toggle", look);
  look();
}
// The contents stay in view and say where you are; a link into something folded opens it.
const links = [...document.querySelectorAll("nav a")];
function unfold() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const fold = target.closest("details") ?? target.querySelector(":scope > details.fold");
  if (fold && !fold.open) { fold.open = true; target.scrollIntoView(); }
}
addEventListener("hashchange", unfold);
unfold();
for (const link of links) link.addEventListener("click", () => setTimeout(unfold, 0));
function here() {
  let now = null;
  for (const link of links) {
    const section = document.getElementById(link.hash.slice(1));
    if (section && section.getBoundingClientRect().top < innerHeight / 3) now = link;
  }
  for (const link of links) {
    if (link === now && !link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "true");
      link.parentElement.scrollTo({ left: link.offsetLeft - 60 });
    } else if (link !== now) link.removeAttribute("aria-current");
  }
}
addEventListener("scroll", here, { passive: true });
here();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
