/* SPDX-License-Identifier: BSD-2-Clause
 *
 * flame.js - an icicle graph on a canvas: callers above what they call, or,
 * inverted, the function that allocated above its callers.  A frame takes a
 * bar; bars that are narrower than half a pixel are not drawn, so a picture
 * costs what is seen of it.
 *
 * Of two profiles, a bar is as wide as the larger of before and now, and its
 * colour says which: orange grew, blue shrank.
 */
const ROW = 19;

/* Two profiles as one: functions are the same if their names are. */
class Pair {
  constructor(old, now) {
    this.functions = now.functions.slice();
    this.brief = now.brief.slice();
    this.modules = now.functions.map((f, i) => now.moduleOf(i));
    const role = Array.from(now.role), byName = new Map(now.functions.map((f, i) => [f.name, i]));
    const of = old.functions.map((f, i) => {
      if (byName.has(f.name)) return byName.get(f.name);
      byName.set(f.name, this.functions.length);
      this.functions.push(f);
      this.brief.push(old.brief[i]);
      this.modules.push(old.moduleOf(i));
      role.push(old.role[i]);
      return this.functions.length - 1;
    });
    this.role = Uint8Array.from(role);
    this.sides = [{ profile: old, of }, { profile: now, of: null }];
  }
  moduleOf(fn) { return this.modules[fn]; }
}

class FlameTree {
  constructor(p, measure, inverted, fold) {
    this.p = p;
    this.fn = [-1];
    this.parent = [-1];
    this.depth = [0];
    this.index = new Map();
    const sides = p.sides || [{ profile: p, of: null }];
    /* What ends at a node, by side; then what passes there. */
    this.of = sides.map(() => [0]);
    sides.forEach((side, i) => this.add(side, i, measure, inverted, fold));
    const ends = this.fn.map((f, i) => this.of.reduce((most, side) => Math.max(most, side[i]), 0));
    this.value = ends;
    for (let i = this.fn.length - 1; i > 0; i--)
      for (const list of [this.value, ...(sides.length > 1 ? this.of : [])]) list[this.parent[i]] += list[i];
    this.arrange();
  }
  add(side, number, measure, inverted, fold) {
    const p = side.profile, width = this.p.functions.length + 1, index = this.index;
    for (const s of p.stacks) {
      const v = s.of[measure];
      if (!v) continue;
      const path = [];
      for (let node = s.node; node > 0; node = p.parent[node]) {
        const f = p.functionOf(node);
        if (!fold || p.role[f] === OWN || node === s.title) path.push(side.of ? side.of[f] : f);
      }
      if (!inverted) path.reverse();
      let at = 0;
      for (const f of path) {
        const key = at * width + f;
        let next = index.get(key);
        if (next === undefined) {
          next = this.fn.length;
          index.set(key, next);
          this.fn.push(f);
          this.parent.push(at);
          this.depth.push(this.depth[at] + 1);
          for (const list of this.of) list.push(0);
        }
        at = next;
      }
      this.of[number][at] += v;
    }
  }
  /* How a node has changed; 0 for a single profile. */
  change(i) { return this.of.length > 1 ? this.of[1][i] - this.of[0][i] : 0; }
  /* Children beside each other, the largest first. */
  arrange() {
    const n = this.fn.length;
    this.children = Array.from({ length: n }, () => null);
    for (let i = 1; i < n; i++) (this.children[this.parent[i]] ||= []).push(i);
    this.x = new Float64Array(n);
    this.levels = 0;
    for (let i = 0; i < n; i++) {
      this.levels = Math.max(this.levels, this.depth[i]);
      const list = this.children[i];
      if (!list) continue;
      list.sort((a, b) => this.value[b] - this.value[a]);
    }
    const todo = [0];
    while (todo.length) {
      const i = todo.pop();
      let x = this.x[i];
      for (const c of this.children[i] || []) {
        this.x[c] = x;
        x += this.value[c];
        todo.push(c);
      }
    }
  }
}

/* Tints that differ in lightness, too, for eyes that do not tell colours. */
const TINTS = [[213, 62, 74], [38, 78, 70], [168, 42, 66], [266, 48, 80], [12, 66, 76], [90, 34, 68], [320, 40, 78], [190, 56, 74]];

class Flame {
  constructor(p, host, where) {
    this.p = p;
    this.host = host;
    this.where = where;
    this.canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": "flame graph; arrow keys move, Enter zooms, Escape leaves" });
    this.space = el("div", { class: "space" });
    host.append(this.canvas, this.space);
    this.zoom = 0;
    this.chosen = -1;
    this.trees = new Map();
    const modules = new Map();
    this.tint = p.functions.map((f) => {
      const m = f.module === undefined ? -1 : f.module;
      if (!modules.has(m)) modules.set(m, modules.size % TINTS.length);
      return TINTS[modules.get(m)];
    });
    this.canvas.addEventListener("mousemove", (e) => this.move(e));
    this.canvas.addEventListener("mouseleave", () => { hideTip(); });
    this.canvas.addEventListener("click", (e) => { const i = this.at(e); if (i >= 0) this.zoomTo(i); });
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    host.addEventListener("scroll", () => this.later());
    new ResizeObserver(() => this.later()).observe(host);
  }
  set(measure, inverted, fold, search) {
    const key = [measure, inverted, fold].join();
    if (!this.trees.has(key)) this.trees.set(key, new FlameTree(this.p, measure, inverted, fold));
    if (this.tree !== this.trees.get(key)) { this.zoom = 0; this.chosen = -1; }
    this.tree = this.trees.get(key);
    this.measure = measure;
    this.search(search);
    this.say(this.zoom);
    this.draw();
  }
  search(pattern) {
    this.hit = null;
    this.hits = 0;
    if (!pattern) return;
    let re;
    try { re = new RegExp(pattern, "i"); } catch (e) { return; }
    const hit = this.p.functions.map((f, i) => re.test(f.name) || re.test(f.file || "") || re.test(this.p.moduleOf(i)));
    const t = this.tree, covered = new Uint8Array(t.fn.length);
    for (let i = 1; i < t.fn.length; i++) {
      covered[i] = covered[t.parent[i]] || hit[t.fn[i]] ? 1 : 0;
      if (covered[i] && !covered[t.parent[i]]) this.hits += t.value[i];
    }
    this.hit = hit;
  }
  later() {
    if (!this.pending) this.pending = requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }
  zoomTo(i) {
    this.zoom = i;
    this.chosen = i;
    this.host.scrollTop = Math.max(0, (this.tree.depth[i] - 3) * ROW);
    this.say(i);
    this.draw();
  }
  name(i) { return i === 0 ? "all" : this.p.brief[this.tree.fn[i]]; }
  /* The bar of a node: left and width, in pixels. */
  bar(i) {
    const t = this.tree, z = this.zoom, scale = this.width / (t.value[z] || 1);
    const left = (t.x[i] - t.x[z]) * scale, width = t.value[i] * scale;
    return [Math.max(0, left), Math.min(width, this.width)];
  }
  draw() {
    if (!this.tree) return;
    const t = this.tree, ratio = devicePixelRatio || 1, host = this.host;
    const began = performance.now();
    host.style.height = Math.min(Math.max((t.levels + 1) * ROW + 4, 160), Math.max(320, innerHeight - 206)) + "px";
    const w = (this.width = host.clientWidth), h = host.clientHeight;
    this.space.style.height = Math.max(0, (t.levels + 1) * ROW + 4 - h) + "px";
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
      this.canvas.width = Math.round(w * ratio);
      this.canvas.height = Math.round(h * ratio);
      this.canvas.style.width = w + "px";
      this.canvas.style.height = h + "px";
    }
    const g = this.canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    this.dark = isDark();
    this.colours = { card: style.getPropertyValue("--card"), ink: style.getPropertyValue("--ink"), mark: style.getPropertyValue("--mark"), accent: style.getPropertyValue("--accent") };
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = "12px " + style.getPropertyValue("--sans");
    g.textBaseline = "middle";
    const top = host.scrollTop, ancestors = new Set();
    for (let i = t.parent[this.zoom]; i >= 0; i = t.parent[i]) ancestors.add(i);
    this.drawn = 0;
    for (const i of ancestors) this.box(g, i, 0, w, t.depth[i] * ROW - top, true);
    const todo = [this.zoom];
    while (todo.length) {
      const i = todo.pop(), [left, width] = this.bar(i), y = t.depth[i] * ROW - top;
      if (width < 0.5 || y > h) continue;
      if (y > -ROW) this.box(g, i, left, width, y, false);
      for (const c of t.children[i] || []) todo.push(c);
    }
    this.took = performance.now() - began;
  }
  box(g, i, left, width, y, dim) {
    const t = this.tree, f = t.fn[i];
    let [hue, saturation, light] = i ? this.tint[f] : [214, 14, 82];
    if (this.p.sides) {
      const part = t.value[i] ? t.change(i) / t.value[i] : 0;
      hue = part > 0 ? 24 : 212;
      saturation = 12 + 66 * Math.min(1, Math.abs(part) * 2);
      light = 86 - 22 * Math.abs(part);
    } else {
      if (i && this.p.role[f] !== OWN) saturation *= 0.25;
      hue += ((f * 104729) % 25) - 12;
      light += ((f * 7919) % 11) - 5;
    }
    if (this.dark) light = light * 0.5 + 2;
    g.globalAlpha = dim ? 0.55 : this.hit && i && !this.hit[f] ? 0.35 : 1;
    g.fillStyle = this.hit && i && this.hit[f] ? this.colours.mark : "hsl(" + hue + " " + saturation + "% " + light + "%)";
    g.fillRect(left, y, Math.max(width - 0.6, 0.5), ROW - 1);
    this.drawn++;
    if (i === this.chosen) {
      g.strokeStyle = this.colours.ink;
      g.strokeRect(left + 0.75, y + 0.75, Math.max(width - 2, 1), ROW - 2.5);
    }
    if (width < 30) { g.globalAlpha = 1; return; }
    g.fillStyle = this.hit && i && this.hit[f] ? "#fff" : this.dark ? "#f2f5f8" : "#141b24";
    const room = Math.floor((width - 10) / 6.2);
    let label = text(this.name(i), 300);
    if (i === 0 || width > 190) label += "  " + (this.p.sides ? this.changed(i) : percent(t.value[i], t.value[0]));
    if (label.length > room) label = room > 3 ? label.slice(0, room - 1) + "\u2026" : "";
    g.fillText(label, left + 5, y + ROW / 2, width - 8);
    g.globalAlpha = 1;
  }
  at(event) {
    const t = this.tree, rect = this.canvas.getBoundingClientRect();
    const x = event.clientX - rect.left, row = Math.floor((event.clientY - rect.top + this.host.scrollTop) / ROW);
    let i = this.zoom;
    if (row < t.depth[i]) {
      while (t.depth[i] > row) i = t.parent[i];
      return i;
    }
    while (t.depth[i] < row) {
      const next = (t.children[i] || []).find((c) => { const [l, w] = this.bar(c); return x >= l && x < l + w; });
      if (next === undefined) return -1;
      i = next;
    }
    return i;
  }
  changed(i) {
    const v = this.tree.change(i);
    return (v > 0 ? "+" : "") + figure(v, this.measure);
  }
  lines(i) {
    const t = this.tree, all = t.value[0], of = (k) => figure(t.of[k][i], this.measure);
    const sum = this.p.sides ? this.changed(i) + ": " + of(0) + " before, " + of(1) + " now" : figure(t.value[i], this.measure);
    if (!i) return ["all stacks", sum];
    const f = this.p.functions[t.fn[i]];
    return [f.name, this.p.sides ? sum : sum + ", " + percent(t.value[i], all) + " of all",
      (f.file || "") + (this.p.moduleOf(t.fn[i]) ? "  " + this.p.moduleOf(t.fn[i]) : "")].filter((s) => s.trim());
  }
  move(e) {
    const i = this.at(e);
    if (i < 0) { hideTip(); return; }
    showTip(e, this.lines(i));
  }
  say(i) {
    const lines = this.lines(Math.max(0, i));
    this.where.replaceChildren(el("b", {}, text(lines[0])), " ", el("span", { class: "dim" }, text(lines.slice(1).join(" \u00b7 "), 600)));
    if (this.hit) this.where.append(" \u2014 found: " + percent(this.hits, this.tree.value[0]));
  }
  key(e) {
    const t = this.tree;
    let i = this.chosen < 0 ? this.zoom : this.chosen;
    const list = i > 0 ? t.children[t.parent[i]] : [0], at = list.indexOf(i);
    if (e.key === "Escape") this.zoomTo(0);
    else if (e.key === "Enter") this.zoomTo(i);
    else if (e.key === "ArrowDown" && t.children[i]) i = t.children[i][0];
    else if (e.key === "ArrowUp" && i > 0) i = t.parent[i];
    else if (e.key === "ArrowRight" && at + 1 < list.length) i = list[at + 1];
    else if (e.key === "ArrowLeft" && at > 0) i = list[at - 1];
    else return;
    e.preventDefault();
    if (e.key.startsWith("Arrow")) {
      this.chosen = i;
      const y = t.depth[i] * ROW;
      if (y < this.host.scrollTop || y + ROW > this.host.scrollTop + this.host.clientHeight) this.host.scrollTop = y - ROW * 3;
      this.say(i);
      this.draw();
    }
  }
}
