/* SPDX-License-Identifier: BSD-2-Clause
 *
 * data.js - the report's JSON, version 2, as arrays to compute with.
 */

/* Numbers that a double cannot hold come as strings. */
const num = (v) => (v === undefined || v === null ? 0 : Number(v));
const parse = (id) => {
  const element = document.getElementById(id);
  if (!element) return null;
  const value = JSON.parse(element.textContent);
  element.remove();
  return value;
};

const MEASURES = [
  { key: "bytes", label: "Live bytes", unit: "bytes" },
  { key: "count", label: "Live blocks", unit: "blocks" },
  { key: "alloc_bytes", label: "Bytes allocated since the start", unit: "bytes" },
  { key: "allocs", label: "Allocations since the start", unit: "blocks" },
  { key: "peak_bytes", label: "Live bytes at the peak", unit: "bytes" },
  { key: "peak_count", label: "Live blocks at the peak", unit: "blocks" },
];
const OWN = 0, WRAPPER = 1, LIBRARY = 2, START = 3;
const ROLES = { wrapper: WRAPPER, library: LIBRARY, start: START };

class Profile {
  constructor(json) {
    this.json = json;
    this.functions = json.functions;
    this.frames = json.frames;
    this.modules = json.modules;
    this.parent = Int32Array.from(json.nodes.parent, (v) => (v === null ? -1 : v));
    this.frame = Int32Array.from(json.nodes.frame, (v) => (v === null ? -1 : v));
    this.stacks = json.stacks.map((s, index) => ({
      index,
      node: s.node,
      title: s.title === undefined ? s.node : s.title,
      heap: s.heap,
      thread: s.thread || 0,
      live: s.bytes !== undefined,
      of: [num(s.bytes), num(s.count), num(s.allocs ? s.alloc_bytes : 0), num(s.allocs), num(s.peak_bytes), num(s.peak_count)],
      sample: s.sample,
      kind: s.kind,
      indirect: num(s.indirect_bytes),
      oldest: s.oldest_s,
      newest: s.newest_s,
      ages: s.ages || [],
      steady: !!s.steady,
      untraced: false,
    }));
    this.role = Uint8Array.from(this.functions, (f) => ROLES[f.role] || OWN);
    this.brief = this.functions.map((f) => brief(f.name));
    for (const s of this.stacks) s.untraced = this.nameOf(s.node).startsWith("[untraced]");
    const t = json.total;
    this.total = [num(t.bytes), num(t.count), num(t.alloc_bytes), num(t.allocs), num(t.peak_bytes), num(t.peak_count)];
    const max = (list, key) => list.reduce((m, s) => m + (s.kind === key ? s.of[0] : 0), 0);
    this.definite = max(this.stacks, "definite");
    this.lost = this.definite + max(this.stacks, "indirect");
    this.possible = max(this.stacks, "possible");
    this.from = num(json.time.from_s);
    this.to = num(json.time.to_s);
  }
  functionOf(node) { return this.frames[this.frame[node]].function; }
  nameOf(node) { return node > 0 ? this.functions[this.functionOf(node)].name : ""; }
  briefOf(node) { return node > 0 ? this.brief[this.functionOf(node)] : ""; }
  moduleOf(fn) {
    const m = this.functions[fn].module;
    return m === undefined ? "" : this.modules[m].path || "";
  }
  /* "parse.c:12" of a node's frame. */
  placeOf(node) {
    const frame = this.frames[this.frame[node]], f = this.functions[frame.function];
    if (f.file) return base(f.file) + (frame.line ? ":" + frame.line : "");
    const module = this.moduleOf(frame.function);
    return module ? base(module) : "";
  }
  /* Nodes of a path, the innermost first. */
  path(node) {
    const nodes = [];
    for (; node > 0; node = this.parent[node]) nodes.push(node);
    return nodes;
  }
  /* The library function that the frame which names a stack called. */
  calledBy(s) {
    let inner = 0;
    for (let node = s.node; node > 0 && node !== s.title; node = this.parent[node]) inner = node;
    return this.briefOf(inner);
  }
  /* Sums by function: of stacks through it, and of stacks that it names. */
  byFunction() {
    if (this.sums) return this.sums;
    const n = this.functions.length;
    const make = () => MEASURES.map(() => new Float64Array(n));
    const total = make(), self = make(), stacks = new Float64Array(n);
    const stamp = new Int32Array(n).fill(-1);
    this.stacks.forEach((s, i) => {
      for (let node = s.node; node > 0; node = this.parent[node]) {
        const f = this.functionOf(node);
        if (stamp[f] === i) continue;
        stamp[f] = i;
        stacks[f]++;
        for (let m = 0; m < MEASURES.length; m++) total[m][f] += s.of[m];
      }
      if (s.title > 0) {
        const f = this.functionOf(s.title);
        for (let m = 0; m < MEASURES.length; m++) self[m][f] += s.of[m];
      }
    });
    return (this.sums = { total, self, stacks });
  }
  heapName(id) {
    const heap = this.json.heaps.find((h) => h.id === id);
    return heap ? heap.name : "";
  }
  threadName(id) {
    const t = this.json.threads.find((x) => x.id === id);
    return t ? t.tid + " " + t.name : "";
  }
}

/* Stacks that differ by their threads alone, as one each; `key` is what else
 * tells them apart. */
function mergeStacks(stacks, key) {
  const merged = new Map();
  for (const s of stacks) {
    const name = s.node + " " + s.heap + " " + key(s), m = merged.get(name);
    if (!m) {
      merged.set(name, { ...s, of: s.of.slice(), ages: s.ages.slice() });
      continue;
    }
    s.of.forEach((n, i) => { m.of[i] += n; });
    s.ages.forEach((n, i) => { m.ages[i] = (m.ages[i] || 0) + n; });
    m.indirect += s.indirect;
    if (m.oldest === undefined || s.oldest > m.oldest) m.oldest = s.oldest;
    m.steady ||= s.steady;
    if (s.kind === "definite") [m.kind, m.sample] = [s.kind, s.sample];
    m.sample ||= s.sample;
  }
  return [...merged.values()];
}

/* How many stacks these are, whatever threads they have. */
const countStacks = (stacks) => new Set(stacks.map((s) => s.node)).size;

const base = (path) => path.slice(path.lastIndexOf("/") + 1);

/* A name without parameters, and without long template arguments. */
const LONG_ARGUMENTS = 26;
function brief(name) {
  if (name.length > 2000) name = name.slice(0, 2000) + "\u2026";
  name = name.replace(/\[abi:\w+\]/g, "");
  if (!/[(<]/.test(name) || name[0] === "[" || name[0] === "<") return name;
  let out = "", opened = 0, angle = 0, round = 0;
  for (let i = 0; i < name.length; i++) {
    const c = name[i];
    if (!angle && !round && out.endsWith("operator") && "<>(-=!".includes(c)) {
      while (i < name.length && "<>()-=!".includes(name[i])) out += name[i++];
      i--;
    } else if (c === "<" && !round) {
      if (angle++ === 0) opened = i;
    } else if (c === ">" && angle && !round) {
      if (--angle === 0) out += i - opened - 1 <= LONG_ARGUMENTS ? name.slice(opened, i + 1) : "<\u2026>";
    } else if (angle) {
      continue;
    } else if (c === "(" && !round && name.startsWith("(anonymous namespace)", i)) {
      out += "(anonymous)";
      i += 20;
    } else if (c === "(") {
      round++;
    } else if (c === ")" && round) {
      round--;
    } else if (!round) {
      out += c;
    }
  }
  return out.replace(/ const$/, "").trim() || name;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
function bytes(v) {
  const sign = v < 0 ? "\u2212" : "";
  let x = Math.abs(v), u = 0;
  while (x >= 1024 && u < 5) { x /= 1024; u++; }
  return sign + (u === 0 ? String(x) : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)) + "\u00a0" + UNITS[u];
}
const count = (v) => (v < 0 ? "\u2212" : "") + Math.abs(Math.round(v)).toLocaleString("en-US");
const figure = (v, m) => (MEASURES[m].unit === "bytes" ? bytes(v) : count(v));
const percent = (part, all) => {
  const p = all ? (part / all) * 100 : 0;
  return (p > 0 && p < 0.1 ? "<0.1" : p >= 10 || p === 0 ? p.toFixed(0) : p.toFixed(1)) + "\u00a0%";
};
const plural = (n, one, many) => count(n) + " " + (n === 1 ? one : many || one + "s");
function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 1) return Math.round(s * 1000) + "\u00a0ms";
  if (s < 120) return (s < 10 ? s.toFixed(1) : s.toFixed(0)) + "\u00a0s";
  if (s < 7200) return Math.round(s / 60) + "\u00a0min";
  if (s < 172800) return (s / 3600).toFixed(1) + "\u00a0h";
  return (s / 86400).toFixed(1) + "\u00a0days";
}
