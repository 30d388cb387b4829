/* SPDX-License-Identifier: BSD-2-Clause
 *
 * summary.js - the first screen: what happened in a sentence, figures, at most
 * five suspects, and the age of what is live.
 */
const SIGNALS = { 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM" };
const MAX_SUSPECTS = 5;

function howItEnded(target) {
  if (target.kind === "live") return "runs";
  if (target.saved_at && target.saved_at.of === "growth") return "wrote this file when its memory had grown";
  if (target.saved_at) return "wrote this file when its " + target.saved_at.of + " limit was near";
  if (target.signal) return "was ended by signal " + target.signal + (SIGNALS[target.signal] ? " (" + SIGNALS[target.signal] + ")" : "");
  if (target.box) return target.box_in_use ? "runs, and keeps a black box" : "kept a black box";
  return target.mini ? "was saved while it ran" : "left a core";
}

/* Bytes by age: blocks are counted by age, and a row's bytes are shared. */
function bytesByAge(stacks) {
  const sums = new Float64Array(8);
  for (const s of stacks) {
    const blocks = s.ages.reduce((a, b) => a + b, 0);
    if (blocks) s.ages.forEach((n, i) => { sums[i] += (s.of[0] * n) / blocks; });
  }
  return Array.from(sums, Math.round);
}

/* Names of the program's callers of a stack's title, without repetitions. */
function callersOf(p, s, most) {
  const names = [], title = p.briefOf(s.title);
  for (let node = p.parent[s.title]; node > 0 && names.length < most; node = p.parent[node]) {
    const name = p.briefOf(node);
    if (p.role[p.functionOf(node)] === OWN && name !== title && name !== names[names.length - 1]) names.push(name);
  }
  return names;
}

/* Stacks that one function names, with what is wrong with them; what grows or is
 * lost is chosen before what is only large, and the largest stands first. */
function suspects(p) {
  const groups = new Map();
  for (const s of p.stacks) {
    if (!s.live || s.untraced || s.title <= 0) continue;
    const key = p.functionOf(s.title);
    const g = groups.get(key) || { node: s.title, stacks: [], bytes: 0, blocks: 0, lost: 0, steady: 0, largest: s };
    groups.set(key, g);
    g.stacks.push(s);
    g.bytes += s.of[0];
    g.blocks += s.of[1];
    if (s.kind === "definite" || s.kind === "indirect") g.lost += s.of[0];
    if (s.steady) g.steady += s.of[0];
    if (s.of[0] > g.largest.of[0]) g.largest = s;
  }
  const live = p.total[0] || 1;
  const score = (g) => g.bytes + 4 * g.steady + 4 * g.lost;
  return [...groups.values()].filter((g) => g.bytes > live / 50 || g.lost > 0 || g.steady > live / 200)
    .sort((a, b) => score(b) - score(a)).slice(0, MAX_SUSPECTS).sort((a, b) => b.bytes - a.bytes);
}

/* Who holds most of the bytes of these stacks: what holds at least half of each
 * stack's own is known; null if it is less than half of all. */
function holderOf(holders, stacks) {
  const known = holders && holders.stack_holders;
  if (!known) return null;
  const sums = new Map(), all = stacks.reduce((a, s) => a + s.of[0], 0);
  for (const s of stacks) {
    const name = known.of[s.index] === null ? undefined : known.names[known.of[s.index]];
    if (name !== undefined) sums.set(name, (sums.get(name) || 0) + s.of[0]);
  }
  const most = [...sums].sort((a, b) => b[1] - a[1])[0];
  return most && most[1] >= all / 2 ? most[0] : null;
}

function gdbLine(p, extra, sample) {
  const t = p.json.target;
  const quote = (s) => (/^[\w.\/+-]+$/.test(s) ? s : "'" + s.replace(/'/g, "'\\''") + "'");
  const where = t.kind === "live" ? "-p " + t.pid : quote(t.exe || "PROGRAM") + " " + quote(t.path || extra.target || "CORE");
  return extra.gdb + " " + where + " -ex 'memtrace " + (extra.searched ? "refs" : "whatis") + " " + sample + "'";
}

function lead(p, extra, list, holders) {
  const t = p.json.target, parts = [];
  const b = (s) => el("b", {}, s);
  parts.push(b(text(t.name || base(t.exe || "") || "The process")), " (" + t.pid + ") " + howItEnded(t), ...(crashPlace(extra.crash) ? [" in ", ...crashPlace(extra.crash)] : []), ", " + span(num(t.running_s)) + " after its start, with ",
    b(bytes(p.total[0])), " live in " + plural(p.total[1], "block") + ". ");
  const error = /^the heap's last error: (.*)/.exec((extra.crash || {}).place || "");
  if (error) parts.push("The heap's last error: ", b(text(error[1], 200)), ". ");
  if (list.length) {
    const g = list.reduce((a, c) => (c.bytes > a.bytes ? c : a));
    parts.push(b(text(p.briefOf(g.node), 120)), " allocated the most of it, " + percent(g.bytes, p.total[0]) + ". ");
  }
  const growing = p.stacks.filter((s) => s.steady);
  if (growing.length) parts.push(plural(countStacks(growing), "stack") + (countStacks(growing) === 1 ? " grows" : " grow") + " steadily. ");
  if (extra.searched) parts.push(p.lost ? [b(bytes(p.lost)), " is lost. "] : p.possible ? "Nothing is definitely lost. " : "Nothing is lost. ");
  const owner = holderOf(holders, p.stacks), top = holders && holders.roots[0];
  if (owner || (top && top.bytes > p.total[0] / 20)) parts.push("Most is held by ", b(text(owner || top.name, 120)), ". ");
  const unseen = num(p.json.untraced.bytes);
  if (unseen) parts.push(bytes(unseen) + " was allocated while tracing was off. ");
  return el("p", { class: "lead" }, parts);
}

/* What the figure of lost bytes is made of. */
function lostNote(p, extra) {
  if (!extra.searched) return "not searched";
  if (p.possible) return "possibly " + bytes(p.possible) + " more";
  return p.lost > p.definite ? bytes(p.definite) + ", and what that leads to" : p.lost ? "definitely" : "every block is held";
}

/* Resident memory, now or in the last sample that had it. */
function residentTile(extra) {
  if (extra.rss_bytes) return ["RSS", bytes(num(extra.rss_bytes)), extra.peak_rss_bytes ? "at most " + bytes(num(extra.peak_rss_bytes)) : ""];
  const seen = ((extra.timeline || {}).samples || []).filter((s) => num(s.resident_bytes)), last = seen[seen.length - 1];
  return last ? ["RSS", bytes(num(last.resident_bytes)), "last seen " + span(num(last.s)) + " after the start"] : ["RSS", "\u2013", "not known here"];
}

function tiles(p, extra) {
  const heaps = p.json.heaps, sum = (key) => heaps.reduce((a, h) => a + num(h[key]), 0);
  const steady = p.stacks.filter((s) => s.steady), limit = sum("limit");
  const list = [
    ["Live", bytes(p.total[0]), plural(p.total[1], "block")],
    ["In use with rounding", bytes(sum("used")), percent(sum("used") - sum("requested"), sum("used")) + " rounding"],
    residentTile(extra),
    ["Heap's peak", bytes(sum("peak")), limit ? "limit " + bytes(limit) : "no limit"],
    ["Lost", extra.searched ? bytes(p.lost) : "\u2013", lostNote(p, extra), p.lost ? "bad" : ""],
    ["Growing", bytes(steady.reduce((a, s) => a + s.of[0], 0)), plural(countStacks(steady), "steady stack"), steady.length ? "warn" : ""],
    ["Not seen", bytes(num(p.json.untraced.bytes)), plural(extra.notes.length, "note")],
  ];
  return el("div", { class: "tiles" }, list.map(([t, v, s, c]) => el("div", { class: "tile" },
    el("div", { class: "t" }, t), el("div", { class: "v " + (c || "") }, v), el("div", { class: "s" }, s))));
}

function suspectRow(p, extra, g, holders) {
  const ages = [0, 0, 0, 0, 0, 0, 0, 0];
  g.stacks.forEach((s) => s.ages.forEach((n, i) => { ages[i] += n; }));
  const callers = callersOf(p, g.largest, 3), holder = holderOf(holders, g.stacks);
  const detail = el("div", { hidden: true }, stackList(p, g.largest.node, g.largest.title));
  const toggle = el("button", { onclick: () => { detail.hidden = !detail.hidden; } }, "Stack");
  const line = command(gdbLine(p, extra, g.largest.sample));
  line.append(toggle);
  return el("div", { class: "suspect" },
    el("div", {}, el("div", { class: "share" }, percent(g.bytes, p.total[0])), el("div", { class: "dim" }, bytes(g.bytes))),
    el("div", {},
      el("div", {}, el("span", { class: "title" }, text(p.briefOf(g.node), 200)), " ", el("span", { class: "dim" }, text(p.placeOf(g.largest.title)))),
      el("div", { class: "dim" },
        g.lost ? el("span", { class: "tag bad" }, "lost: " + bytes(g.lost)) : null,
        g.steady ? el("span", { class: "tag warn" }, "grows steadily") : null,
        plural(g.blocks, "block") + " of " + plural(countStacks(g.stacks), "stack"),
        callers.length ? ", called by " + text(callers.join(" \u2190 "), 200) : null),
      holder ? el("div", { class: "dim holder" }, "held by ", el("b", {}, text(holder, 120))) : null,
      line, detail),
    agesBars(ages));
}

function ageStrip(p) {
  const sums = bytesByAge(p.stacks);
  return el("div", { class: "card" }, agesBars(sums, true, (i) => {
    const length = (p.from - p.to) / 8;
    return [bytes(sums[i]), "allocated " + span(p.from - length * i) + " to " + span(p.from - length * (i + 1)) + " ago"];
  }), el("div", { class: "ends dim" }, el("span", {}, span(p.from) + " ago"), el("span", {}, p.to ? span(p.to) + " ago" : "now")));
}

function holdersCard(p, holders) {
  const all = num(holders.live.bytes) || 1, rows = holders.roots.filter((r) => !r.place).slice(0, 4);
  const line = (name, v) => el("div", { class: "hold" }, el("span", { class: "dim" }, percent(v, all)), el("span", {}, text(name, 80)));
  return el("div", { class: "card" }, rows.map((r) => line(r.name, num(r.bytes))),
    num(holders.shared.bytes) ? line("several of them", num(holders.shared.bytes)) : null);
}

function summaryView(p, extra, holders) {
  const list = suspects(p);
  return [lead(p, extra, list, holders), tiles(p, extra),
    el("div", { class: "columns" },
      el("section", {}, el("h2", {}, "Suspects"),
        list.length ? el("div", { class: "card suspects" }, list.map((g) => suspectRow(p, extra, g, holders))) : el("p", { class: "dim" }, "No function stands out.")),
      el("section", {}, timelineCard(extra), el("h2", {}, "Live bytes by age"), ageStrip(p),
        holders ? [el("h2", {}, "Who holds it"), holdersCard(p, holders)] : null,
        extra.notes.length ? [el("h2", {}, "Not seen"), el("ul", { class: "notes dim" }, extra.notes.map((n) => el("li", {}, text(n, 500))))] : null))];
}
