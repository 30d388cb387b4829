/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tables.js - tables that sort, filter by a regular expression, open rows, and
 * copy as TSV.
 */
const PAGE_ROWS = 200;

/* columns: {label, value(row), text(row), number, part(row), class};
 * options: {sort: index, open(row), filter(row) -> text, hash: name} */
function table(columns, rows, options) {
  const o = options || {};
  const state = { sort: o.sort || 0, down: true, shown: PAGE_ROWS, filter: o.hash ? getHash(o.hash) : "" };
  const body = el("tbody", {}), head = el("tr", {}), more = el("div", { class: "more" });
  const bad = el("span", { class: "bad" }), found = el("span", { class: "dim" });
  let list = rows;

  function select() {
    let test = () => true;
    bad.textContent = "";
    if (state.filter) {
      try {
        const re = new RegExp(state.filter, "i");
        test = (row) => re.test(o.filter(row));
      } catch (e) {
        bad.textContent = "not a regular expression";
      }
    }
    const c = columns[state.sort];
    list = rows.filter(test);
    list.sort((a, b) => {
      const x = c.value(a), y = c.value(b);
      const order = c.number ? y - x : String(x).localeCompare(String(y));
      return state.down ? order : -order;
    });
    found.textContent = state.filter ? plural(list.length, "row") : "";
  }

  function row(r) {
    const cells = columns.map((c) => {
      const inner = c.cell ? c.cell(r) : text(c.text ? c.text(r) : c.value(r));
      const part = c.part ? c.part(r) : 0;
      return el("td", { class: [c.number ? "n" : "", c.class || "", part ? "fill" : ""].join(" ").trim() },
        part ? el("i", { style: { width: "calc(" + Math.min(100, part * 100) + "% - 12px)" } }) : null, el("span", {}, inner));
    });
    const tr = el("tr", { class: o.open ? "click" : "", tabindex: o.open ? "0" : null }, cells);
    if (o.open) {
      const toggle = () => {
        if (tr.classList.toggle("open"))
          tr.after(el("tr", { class: "detail" }, el("td", { colspan: columns.length }, o.open(r))));
        else tr.nextSibling.remove();
      };
      tr.addEventListener("click", toggle);
      tr.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target === tr) toggle(); });
    }
    return tr;
  }

  function draw() {
    head.replaceChildren(...columns.map((c, i) => el("th", { class: c.number ? "n" : "", "aria-sort": i === state.sort ? (state.down ? "descending" : "ascending") : null },
      el("button", { title: c.help || "sort", onclick: () => { state.down = i === state.sort ? !state.down : true; state.sort = i; select(); draw(); } },
        c.label + (i === state.sort ? (state.down ? " \u25be" : " \u25b4") : "")))));
    body.replaceChildren(...list.slice(0, state.shown).map(row));
    more.replaceChildren();
    if (list.length > state.shown)
      more.append(el("button", { onclick: () => { state.shown *= 5; draw(); } }, "Show more"), " " + plural(list.length - state.shown, "more row"));
    more.hidden = list.length <= state.shown;
  }

  function tsv() {
    const clean = (v) => String(v).replace(/[\t\n\r]/g, " ");
    return [columns.map((c) => c.label), ...list.map((r) => columns.map((c) => c.value(r)))].map((line) => line.map(clean).join("\t")).join("\n");
  }

  select();
  draw();
  const bar = el("div", { class: "bar" },
    o.filter ? el("input", { type: "search", placeholder: o.placeholder || "Filter (regular expression)", "aria-label": "Filter", value: state.filter,
      oninput: (e) => { state.filter = e.target.value; if (o.hash) setHash(o.hash, state.filter); select(); draw(); } }) : null,
    found, bad, o.bar || null, el("span", { class: "grow" }),
    el("button", { class: "tsv", onclick: (e) => copy(tsv(), e.target), title: "Copy the table for a spreadsheet" }, "Copy as TSV"));
  return el("div", { class: "table" }, bar, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), body), more));
}
