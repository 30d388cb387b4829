/* SPDX-License-Identifier: BSD-2-Clause
 *
 * views.js - the other views: flame graph, functions, stacks, leaks, growth,
 * heaps, threads, the crash, and what the report is made of.
 */
function choice(name, values, current, change) {
  return el("label", {}, name, el("select", { onchange: (e) => change(e.target.value) },
    values.map(([value, label]) => el("option", { value, selected: String(value) === String(current) }, label))));
}
const toggle = (label, on, change, title) => el("button", { "aria-pressed": String(on), title, onclick: (e) => {
  const now = e.target.getAttribute("aria-pressed") !== "true";
  e.target.setAttribute("aria-pressed", String(now));
  change(now);
} }, label);

/* `p` is a profile, or a pair; `measures` those that it has. */
function flamePanel(p, measures) {
  const state = { m: Number(getHash("m") || 0), inv: getHash("inv") === "1", all: getHash("all") === "1", q: getHash("q") };
  const where = el("div", { id: "where" }), host = el("div", { id: "flame" });
  const flame = new Flame(p, host, where);
  window.memtraceFlame = flame;
  const set = () => {
    setHash("m", state.m || "");
    setHash("inv", state.inv ? "1" : "");
    setHash("all", state.all ? "1" : "");
    setHash("q", state.q);
    flame.set(state.m, state.inv, !state.all, state.q);
  };
  const bar = el("div", { class: "bar" },
    choice("Show", MEASURES.map((m, i) => [i, m.label]).filter(([i]) => measures.includes(i)), state.m, (v) => { state.m = Number(v); set(); }),
    toggle("Inverted", state.inv, (on) => { state.inv = on; set(); }, "What allocated on top, its callers below"),
    toggle("Library frames", state.all, (on) => { state.all = on; set(); }, "Also frames of libc, std and the like, and of wrappers of malloc"),
    el("button", { onclick: () => flame.zoomTo(0) }, "Reset zoom"),
    el("span", { class: "grow" }),
    el("input", { type: "search", placeholder: "Search (regular expression)", "aria-label": "Search", value: state.q, oninput: (e) => { state.q = e.target.value; set(); } }));
  queueMicrotask(set);
  return [bar, host, where];
}

const flameView = (p) => flamePanel(p, MEASURES.map((m, i) => i).filter((i) => i < 2 || p.total[i]));

function functionsView(p) {
  const sums = p.byFunction(), rows = p.functions.map((f, i) => i).filter((i) => sums.stacks[i]);
  const open = (i) => {
    const list = p.stacks.filter((s) => s.of[0] && p.path(s.node).some((n) => p.functionOf(n) === i)).sort((a, b) => b.of[0] - a.of[0]).slice(0, 3);
    return list.length ? list.map((s) => [el("div", { class: "dim" }, bytes(s.of[0]) + " in " + plural(s.of[1], "block")), stackList(p, s.node, s.title)]) : "No block of it is live.";
  };
  const columns = [
    { label: "Total", number: true, value: (i) => sums.total[0][i], text: (i) => bytes(sums.total[0][i]), part: (i) => sums.total[0][i] / p.total[0], class: "pct" },
    { label: "%", number: true, value: (i) => sums.total[0][i] / p.total[0], text: (i) => percent(sums.total[0][i], p.total[0]) },
    { label: "Self", number: true, value: (i) => sums.self[0][i], text: (i) => bytes(sums.self[0][i]), part: (i) => sums.self[0][i] / p.total[0], class: "pct" },
    { label: "Blocks", number: true, value: (i) => sums.total[1][i], text: (i) => count(sums.total[1][i]) },
    { label: "Allocations", number: true, value: (i) => sums.total[3][i], text: (i) => count(sums.total[3][i]), help: "since the start, freed ones included" },
    { label: "Function", value: (i) => p.functions[i].name, text: (i) => p.brief[i], class: "name" },
    { label: "Where", value: (i) => (p.functions[i].file ? base(p.functions[i].file) : base(p.moduleOf(i))) },
  ];
  /* Those of libraries have no bytes of their own, and nearly all of the total. */
  const own = rows.filter((i) => p.role[i] === OWN || sums.self[0][i]), host = el("div", {}), hidden = rows.length - own.length;
  const draw = (all) => host.replaceChildren(table(columns, all || !own.length ? rows : own, {
    filter: (i) => p.functions[i].name + " " + (p.functions[i].file || "") + " " + p.moduleOf(i), open, hash: "f", sort: getHash("f") ? 0 : 2, placeholder: "Function, file or module",
    bar: hidden && own.length ? toggle("Library functions (" + count(hidden) + ")", all, (on) => { setHash("lib", on ? "1" : ""); draw(on); }, "Also functions of libc, std and the like, and wrappers of malloc") : null }));
  draw(getHash("lib") === "1");
  return [el("p", { class: "dim" }, "Total is of all stacks through a function; Self of those that it names, as the first function of the program itself."), host];
}

function stackColumns(p) {
  return [
    { label: "Bytes", number: true, value: (s) => s.of[0], text: (s) => bytes(s.of[0]), part: (s) => s.of[0] / p.total[0], class: "pct" },
    { label: "%", number: true, value: (s) => s.of[0] / p.total[0], text: (s) => percent(s.of[0], p.total[0]) },
    { label: "Blocks", number: true, value: (s) => s.of[1], text: (s) => count(s.of[1]) },
    { label: "Allocations", number: true, value: (s) => s.of[3], text: (s) => count(s.of[3]), help: "since the start, freed ones included" },
    { label: "Age", value: (s) => s.oldest || 0, number: true, cell: (s) => agesBars(s.ages), class: "pct", help: "of the oldest block" },
    { label: "Stack", class: "name", value: (s) => p.path(s.node).map((n) => p.nameOf(n)).join(" < "), cell: (s) => [
      s.steady ? el("span", { class: "tag warn" }, "grows") : null, s.kind === "definite" ? el("span", { class: "tag bad" }, "lost") : null,
      stackTitle(p, s)] },
  ];
}

function stackTitle(p, s) {
  const callers = s.title > 0 ? callersOf(p, s, 3) : [];
  const called = p.calledBy(s);
  return [text(p.briefOf(s.title)), called ? " [" + text(called) + "]" : "", " ", el("span", { class: "dim" }, (s.title > 0 ? text(p.placeOf(s.title)) : "") + (callers.length ? " \u2190 " + text(callers.join(" \u2190 "), 160) : ""))];
}

const stackText = (p, s) => p.path(s.node).map((n) => p.nameOf(n) + " " + p.placeOf(n)).join(" ");

function stacksView(p, extra) {
  return [table(stackColumns(p), mergeStacks(p.stacks, () => ""), { filter: (s) => stackText(p, s), hash: "s", placeholder: "Function or file of a frame",
    open: (s) => [s.sample ? command(gdbLine(p, extra, s.sample)) : null, stackList(p, s.node, s.title)] })];
}

/* An entry of Valgrind's suppression files. */
function suppression(p, s) {
  const frames = p.path(s.node).slice(0, 12).map((n) => {
    const f = p.functions[p.functionOf(n)];
    return f.unnamed ? "   obj:" + (p.moduleOf(p.functionOf(n)) || "*") : "   fun:" + (f.linkage || f.name.replace(/\(.*/, "") || "*");
  });
  return "{\n   " + (p.briefOf(s.title) || "leak") + "\n   Memcheck:Leak\n   match-leak-kinds: " + s.kind + "\n   fun:*alloc*\n" + frames.join("\n") + "\n   ...\n}\n";
}

function leaksView(p, extra) {
  if (!extra.searched) return [el("p", { class: "dim" }, "Not searched: the file is a mini-core, or the report was made with --no-leaks.")];
  const checked = p.json.checked, kinds = p.json.kinds;
  const titles = { definite: "Definitely lost", indirect: "Indirectly lost", possible: "Possibly lost", reachable: "Still reachable" };
  const rows = mergeStacks(p.stacks.filter((s) => s.kind && s.kind !== "reachable"), (s) => s.kind);
  return [el("div", { class: "tiles" }, Object.entries(titles).map(([k, t]) => el("div", { class: "tile" }, el("div", { class: "t" }, t),
      el("div", { class: "v " + (k === "definite" && num(kinds[k].bytes) ? "bad" : "") }, bytes(num(kinds[k].bytes))), el("div", { class: "s" }, plural(num(kinds[k].count), "block"))))),
    el("p", { class: checked.complete ? "dim" : "warn", style: { "margin-top": "14px" } }, "Result: " + checked.verdict + (checked.why ? " (" + checked.why + ")" : "") + ". " + (checked.complete ? "All memory that may hold a pointer was searched." : "Some memory could not be searched: see About.")),
    rows.length ? table([{ label: "Kind", value: (s) => s.kind, cell: (s) => el("span", { class: s.kind === "definite" ? "bad" : "" }, s.kind) },
      { label: "Loses", number: true, value: (s) => (s.kind === "indirect" ? 0 : s.of[0] + s.indirect), text: (s) => (s.kind === "indirect" ? "" : bytes(s.of[0] + s.indirect)), help: "with what only its blocks lead to" },
      ...stackColumns(p).filter((c) => c.label !== "Allocations").map((c) => (c.label === "Stack" ? { ...c, cell: (s) => stackTitle(p, s) } : c))],
      rows, { sort: 1, filter: (s) => s.kind + " " + stackText(p, s), hash: "l",
        open: (s) => [command(gdbLine(p, extra, s.sample)), stackList(p, s.node, s.title), el("div", { class: "dim" }, "To suppress it:"), el("pre", {}, text(suppression(p, s), 4000)),
          el("button", { onclick: (e) => { e.stopPropagation(); copy(suppression(p, s), e.target); } }, "Copy the suppression")] })
      : el("p", { class: "good" }, "No block is lost.")];
}

function growthView(p, extra, holders, old) {
  const key = (q, i) => q.functions[i].name, now = p.byFunction(), was = old.byFunction(), map = new Map();
  const add = (q, sums, side) => q.functions.forEach((f, i) => {
    if (!sums.stacks[i]) return;
    const r = map.get(key(q, i)) || { name: f.name, brief: q.brief[i], where: f.file ? base(f.file) : base(q.moduleOf(i)), of: [[0, 0, 0], [0, 0, 0]] };
    map.set(key(q, i), r);
    r.of[side][0] += sums.total[0][i];
    r.of[side][1] += sums.self[0][i];
    r.of[side][2] += sums.total[1][i];
  });
  add(old, was, 0);
  add(p, now, 1);
  const rows = [...map.values()].filter((r) => r.of[0][0] !== r.of[1][0] || r.of[0][2] !== r.of[1][2]);
  const d = (r, k) => r.of[1][k] - r.of[0][k], sign = (v, f) => (v > 0 ? "+" : "") + f(v), change = p.total[0] - old.total[0];
  const most = Math.max(1, ...rows.map((r) => Math.abs(d(r, 1))));
  return [el("p", { class: "lead" }, "From ", el("b", {}, bytes(old.total[0])), " to ", el("b", {}, bytes(p.total[0])), ": " + sign(change, bytes) + " in " + sign(p.total[1] - old.total[1], count) + " blocks."),
    el("p", { class: "dim" }, "A bar is as wide as the larger of before and now: ", el("b", { class: "grew" }, "orange"), " grew, ", el("b", { class: "shrank" }, "blue"), " shrank."),
    flamePanel((old.pair ||= new Pair(old, p)), [0, 1]),
    table([
      { label: "+ Total", number: true, value: (r) => d(r, 0), text: (r) => sign(d(r, 0), bytes) },
      { label: "+ Self", number: true, value: (r) => d(r, 1), text: (r) => sign(d(r, 1), bytes), part: (r) => Math.abs(d(r, 1)) / most, class: "pct" },
      { label: "+ Blocks", number: true, value: (r) => d(r, 2), text: (r) => sign(d(r, 2), count) },
      { label: "Before", number: true, value: (r) => r.of[0][0], text: (r) => bytes(r.of[0][0]) },
      { label: "Now", number: true, value: (r) => r.of[1][0], text: (r) => bytes(r.of[1][0]) },
      { label: "Function", value: (r) => r.name, text: (r) => r.brief, class: "name" },
      { label: "Where", value: (r) => r.where },
    ], rows, { sort: 1, filter: (r) => r.name + " " + r.where, hash: "g" })];
}

function heapsView(p) {
  const heap = (h) => [el("h2", {}, text(h.name)),
    el("div", { class: "tiles" }, [["Asked for", h.requested], ["In use", h.used], ["Committed", h.committed], ["Peak", h.peak], ["Could go back", h.trimmable], ["Limit", h.limit]].map(([t, v]) =>
      el("div", { class: "tile" }, el("div", { class: "t" }, t), el("div", { class: "v" }, num(v) ? bytes(num(v)) : "\u2013")))),
    h.failures ? el("p", { class: "bad" }, plural(num(h.failures), "allocation") + " got no memory.") : null,
    h.classes ? el("div", { style: { "margin-top": "14px" } }, table([
      { label: "Size", number: true, value: (c) => num(c.block_bytes), text: (c) => (c.block_bytes ? bytes(num(c.block_bytes)) : "large") },
      { label: "Live", number: true, value: (c) => num(c.blocks), text: (c) => count(num(c.blocks)) },
      { label: "Free", number: true, value: (c) => num(c.free_blocks), text: (c) => count(num(c.free_blocks)) },
      { label: "Committed", number: true, value: (c) => num(c.committed), text: (c) => bytes(num(c.committed)), part: (c) => num(c.committed) / (num(h.committed) || 1), class: "pct" },
      { label: "In use", number: true, value: (c) => num(c.used), text: (c) => bytes(num(c.used)) },
      { label: "Rounding", number: true, value: (c) => num(c.used) - num(c.requested), text: (c) => bytes(num(c.used) - num(c.requested)) },
      { label: "Empty", number: true, value: (c) => 1 - num(c.used) / (num(c.committed) || 1), text: (c) => percent(num(c.committed) - num(c.used), num(c.committed)), part: (c) => 1 - num(c.used) / (num(c.committed) || 1), class: "pct", help: "committed and not in a live block: fragmentation" },
    ], h.classes, { sort: 3 })) : null];
  return p.json.heaps.map(heap);
}

function threadsView(p) {
  const rows = p.json.threads.map((t) => ({ ...t, of: [0, 0] })), byId = new Map(rows.map((t) => [t.id, t])), rest = { tid: "", name: "no thread: large blocks, and what ended threads left", of: [0, 0] };
  p.stacks.forEach((s) => { const t = byId.get(s.thread) || rest; t.of[0] += s.of[0]; t.of[1] += s.of[1]; });
  return [el("p", { class: "dim" }, "A block belongs to the thread that owns its memory: nearly always the one that allocated it."),
    table([
      { label: "Bytes", number: true, value: (t) => t.of[0], text: (t) => bytes(t.of[0]), part: (t) => t.of[0] / p.total[0], class: "pct" },
      { label: "%", number: true, value: (t) => t.of[0] / p.total[0], text: (t) => percent(t.of[0], p.total[0]) },
      { label: "Blocks", number: true, value: (t) => t.of[1], text: (t) => count(t.of[1]) },
      { label: "Thread", value: (t) => t.tid },
      { label: "Name", value: (t) => t.name, class: "name" },
      { label: "State", value: (t) => (t.id === undefined ? "" : t.live ? "lives" : "has ended") },
    ], [...rows, rest], { filter: (t) => t.tid + " " + t.name })];
}

/* The program's own function that crashed, and what it called in a library. */
function crashPlace(c) {
  const f = c && c.own_frames && c.own_frames[0];
  if (!f || !f.function) return null;
  return [el("b", {}, text(brief(f.function), 120)), f.file && f.line ? " (" + text(base(f.file)) + ":" + f.line + ")" : "", c.called ? ", which called " + text(brief(c.called), 120) : ""];
}

function crashView(p, extra) {
  const c = extra.crash;
  return [el("p", { class: "lead" }, "Signal ", el("b", {}, c.signal + (SIGNALS[c.signal] ? " (" + SIGNALS[c.signal] + ")" : "")), c.tid ? " in thread " + c.tid + (c.thread ? " (" + text(c.thread) + ")" : "") : "", c.cause ? ": " + text(c.cause) : "", c.address ? " " + c.address : "", "."),
    c.place ? el("p", {}, text(c.place, 1000)) : null,
    crashPlace(c) ? el("p", {}, "In ", crashPlace(c), ".") : null,
    c.frames.length ? [el("h2", {}, "Backtrace"), el("div", { class: "card" }, frameList(c.frames))] : el("p", { class: "dim" }, "No backtrace.")];
}

function aboutView(p, extra) {
  const t = p.json.target, facts = [["Process", t.pid + " " + (t.name || "")], ["Program", t.exe], ["Command", t.command], ["File", t.path], ["Started", t.started_ns ? new Date(num(t.started_ns) / 1e6).toString() : ""],
    ["Recorded", span(num(t.running_s))], ["MEMTRACE", t.config], ["Frames a stack", t.depth], ["Sampling", num(t.sample_bytes) ? "one in " + bytes(num(t.sample_bytes)) : "every allocation"], ["Stacks", count(p.stacks.length)], ["Paths of calls", count(p.parent.length)], ["Written by", "memtrace " + extra.memtrace]];
  const coverage = Object.entries(p.json.coverage).map(([key, value]) => ({ key, value }));
  return [el("div", { class: "card" }, el("dl", {}, facts.filter((f) => f[1] !== undefined && f[1] !== null && f[1] !== "").map(([k, v]) => [el("dt", {}, k), el("dd", { class: "mono" }, text(v, 2000))]))),
    el("h2", {}, "What the report does not see"),
    extra.notes.length ? el("ul", { class: "notes" }, extra.notes.map((n) => el("li", {}, text(n, 500)))) : el("p", { class: "good" }, "Everything was seen."),
    el("h2", {}, "Modules"),
    table([{ label: "Path", value: (m) => m.path || "", class: "name" }, { label: "Build-id", value: (m) => m.build_id || "", class: "mono" }, { label: "Start", value: (m) => m.start, class: "mono" }, { label: "File", value: (m) => m.match || "" }], p.modules, { filter: (m) => m.path || "" }),
    el("h2", {}, "Coverage"),
    table([{ label: "Count", value: (c) => c.key }, { label: "Value", value: (c) => String(c.value), class: "mono" }], coverage, {})];
}
