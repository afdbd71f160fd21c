// A table whose cells are changed in place, with the keys of a spreadsheet.
import { $, h } from "./dom.js";

export class Grid {
  constructor(meant) {
    this.meant = meant;
    this.at = { row: 0, column: 0 };
    this.rows = []; this.columns = []; this.chosen = new Set();
    this.head = h("thead"); this.body = h("tbody");
    this.table = h("table", { role: "grid", id: "grid", "aria-label": "Table of recordings; Enter changes a cell", onkeydown: (e) => this.key(e), onpaste: (e) => this.paste(e), ondblclick: (e) => this.touch(e, true), onclick: (e) => this.touch(e, false) }, this.head, this.body);
    this.list = h("datalist", { id: "known" });
    this.element = h("div", { class: "scroll tall" }, this.table, this.list);
  }
  attach(columns, busy, edit, open) {
    this.busy = busy; this.edit = edit; this.open = open;
    this.table.setAttribute("aria-readonly", busy ? "true" : "false");
    if (columns.join("\n") !== this.columns.join("\n")) { this.columns = columns; this.chosen.clear(); }
  }
  // Rows are [number, cells]; the cell that had the focus keeps it.
  show(columns, rows) {
    if (this.input) return; // a cell is being written; what is new comes with its saving
    const focused = this.body.contains(document.activeElement);
    this.columns = columns; this.rows = rows;
    this.head.replaceChildren(h("tr", {}, h("th", { scope: "col", class: "pick" }, h("input", { type: "checkbox", "aria-label": "Select all rows shown", onchange: (e) => this.all(e.target.checked) })),
      columns.map((c) => h("th", { scope: "col" }, h("button", { type: "button", class: "head", title: this.meant[c] ?? "a label", "aria-label": `Column ${c}`, onclick: () => this.open(c) }, c, h("span", { "aria-hidden": "true" }, " ▾"))))));
    this.body.replaceChildren(...rows.map(([number, cells], r) => h("tr", {},
      h("th", { scope: "row", class: "pick" }, h("input", { type: "checkbox", "aria-label": `Select row ${number + 1}`, checked: this.chosen.has(number), onchange: (e) => this.pick(number, e.target.checked) }), h("span", { class: "soft" }, number + 1)),
      cells.map((text, c) => h("td", { role: "gridcell", id: `cell-${r}-${c}`, tabindex: "-1", title: text.length > 28 ? text : null }, text)))));
    this.at = { row: Math.min(this.at.row, Math.max(0, rows.length - 1)), column: Math.min(this.at.column, columns.length - 1) };
    this.mark(focused);
    this.told();
  }
  cell(row = this.at.row, column = this.at.column) { return $(`cell-${row}-${column}`); }
  mark(focus) {
    for (const one of this.body.querySelectorAll("td[tabindex='0']")) one.tabIndex = -1;
    const cell = this.cell();
    if (!cell) return;
    cell.tabIndex = 0;
    if (focus) { cell.focus({ preventScroll: true }); cell.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  }
  go(row, column) {
    this.at = { row: Math.max(0, Math.min(this.rows.length - 1, row)), column: Math.max(0, Math.min(this.columns.length - 1, column)) };
    this.mark(true);
  }
  touch(event, twice) {
    const cell = event.target.closest("td");
    if (!cell || this.input) return;
    const [row, column] = cell.id.split("-").slice(1).map(Number), again = row === this.at.row && column === this.at.column && this.touched;
    this.touched = true;
    this.go(row, column);
    if (twice || again) this.write(null);
  }
  key(event) {
    if (this.input || !event.target.matches("td")) return;
    const { row, column } = this.at, size = this.rows.length;
    const moves = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? size : row, this.columns.length], PageUp: [row - 12, column], PageDown: [row + 12, column] };
    if (moves[event.key]) this.go(...moves[event.key]);
    else if (event.key === "Enter" || event.key === "F2") this.write(null);
    else if (event.key === "Delete" || event.key === "Backspace") this.save("", 0, 0);
    else if (event.key === " ") this.pick(this.rows[row][0], !this.chosen.has(this.rows[row][0]), true);
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) this.write(event.key);
    else return;
    event.preventDefault();
  }
  // Put a field into the cell; Enter and Tab keep what is written, Escape does not.
  write(text) {
    const cell = this.cell();
    if (this.busy || !cell || this.input) return;
    const before = cell.textContent;
    this.list.replaceChildren(...[...new Set(this.rows.map(([, cells]) => cells[this.at.column]))].filter(Boolean).slice(0, 30).map((v) => h("option", { value: v })));
    const input = this.input = h("input", { list: "known", value: text ?? before, maxlength: 4000, "aria-label": `${this.columns[this.at.column]}, row ${this.rows[this.at.row][0] + 1}` });
    const end = (keep, down, right) => {
      if (this.input !== input) return;
      const now = input.value.trim();
      this.input = null;
      cell.textContent = keep ? now : before;
      if (keep && now !== before) this.save(now, down, right); else this.go(this.at.row + down, this.at.column + right);
    };
    input.onkeydown = (event) => {
      if (event.key === "Enter") end(true, 1, 0);
      else if (event.key === "Tab") end(true, 0, event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") end(false, 0, 0);
      else return;
      event.preventDefault(); event.stopPropagation();
    };
    input.onblur = () => end(true, 0, 0);
    cell.replaceChildren(input);
    input.focus();
    if (text === null) input.select();
  }
  save(value, down, right) {
    if (this.busy) return;
    const row = this.rows[this.at.row][0], column = this.columns[this.at.column];
    this.go(this.at.row + down, this.at.column + right);
    this.edit({ type: "edit", changes: [{ row, column, value }] });
  }
  paste(event) {
    if (this.input || this.busy) return;
    const lines = event.clipboardData.getData("text/plain").replace(/\r?\n$/, "").split(/\r?\n/).map((line) => line.split("\t"));
    const changes = lines.flatMap((line, r) => line.map((value, c) => ({ row: this.rows[this.at.row + r]?.[0], column: this.columns[this.at.column + c], value }))).filter((one) => one.row !== undefined && one.column);
    event.preventDefault();
    if (changes.length) this.edit({ type: "edit", changes });
  }
  pick(number, on, show) {
    if (on) this.chosen.add(number); else this.chosen.delete(number);
    if (show) for (const [r, [n]] of this.rows.entries()) if (n === number) this.body.rows[r].querySelector("input").checked = on;
    this.told();
  }
  all(on) {
    for (const [number] of this.rows) if (on) this.chosen.add(number); else this.chosen.delete(number);
    for (const box of this.body.querySelectorAll("input[type='checkbox']")) box.checked = on;
    this.told();
  }
  told() {
    const button = $("drop-rows");
    if (!button) return;
    button.disabled = this.busy || !this.chosen.size;
    button.textContent = this.chosen.size ? `Drop ${this.chosen.size} selected row${this.chosen.size > 1 ? "s" : ""}` : "Drop selected rows";
  }
  selected() { return [...this.chosen]; }
  clear() { this.chosen.clear(); }
}
