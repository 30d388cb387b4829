/* SPDX-License-Identifier: BSD-2-Clause
 *
 * holders.js - what is held by whom alone: a treemap and tables of roots,
 * stacks and blocks.
 */

/* Squarified: rows of tiles that are nearly square. */
function squarify(items, x, y, w, h) {
  const boxes = [];
  let rest = items.slice(), left = items.reduce((a, i) => a + i.value, 0);
  const worst = (row, sum, side, scale) => {
    const length = (sum * scale) / side;
    return Math.max(...row.map((r) => { const a = (r.value * scale) / length; return Math.max(a / length, length / a); }));
  };
  while (rest.length && w > 1 && h > 1 && left > 0) {
    const side = Math.min(w, h), scale = (w * h) / left;
    let row = [rest[0]], sum = rest[0].value, n = 1;
    while (n < rest.length) {
      const next = rest[n];
      if (worst([...row, next], sum + next.value, side, scale) > worst(row, sum, side, scale)) break;
      row.push(next);
      sum += next.value;
      n++;
    }
    const thick = (sum * scale) / side;
    let at = 0;
    for (const r of row) {
      const long = (r.value * scale) / thick;
      boxes.push(w >= h ? { item: r, x, y: y + at, w: thick, h: long } : { item: r, x: x + at, y, w: long, h: thick });
      at += long;
    }
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    rest = rest.slice(n);
    left -= sum;
  }
  return boxes;
}

function treemap(items, all) {
  const host = el("div", { id: "treemap" }), canvas = el("canvas", { role: "img", "aria-label": "treemap of what is held" });
  let boxes = [];
  host.append(canvas);
  const draw = () => {
    const w = host.clientWidth, h = host.clientHeight, ratio = devicePixelRatio || 1;
    if (!w) return;
    canvas.width = w * ratio;
    canvas.height = h * ratio;
    canvas.style.width = w + "px";
    canvas.style.height = h + "px";
    const g = canvas.getContext("2d"), dark = isDark();
    g.scale(ratio, ratio);
    g.font = "12px " + getComputedStyle(document.documentElement).getPropertyValue("--sans");
    boxes = squarify(items, 0, 0, w, h);
    boxes.forEach((b, i) => {
      const [hue, saturation, light] = b.item.shared ? [214, 12, 80] : TINTS[i % TINTS.length];
      g.fillStyle = "hsl(" + hue + " " + saturation + "% " + (dark ? light * 0.48 : light) + "%)";
      g.fillRect(b.x + 1, b.y + 1, b.w - 2, b.h - 2);
      if (b.w < 44 || b.h < 20) return;
      g.save();
      g.beginPath();
      g.rect(b.x + 1, b.y + 1, b.w - 8, b.h - 2);
      g.clip();
      g.fillStyle = dark ? "#f2f5f8" : "#141b24";
      g.fillText(text(b.item.name, 120), b.x + 8, b.y + 18);
      if (b.h > 38) g.fillText(bytes(b.item.value) + ", " + percent(b.item.value, all), b.x + 8, b.y + 35);
      g.restore();
    });
  };
  canvas.addEventListener("mousemove", (e) => {
    const r = canvas.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
    const b = boxes.find((c) => x >= c.x && x < c.x + c.w && y >= c.y && y < c.y + c.h);
    if (b) showTip(e, [b.item.name, bytes(b.item.value) + " in " + plural(b.item.count, "block") + ", " + percent(b.item.value, all)]);
    else hideTip();
  });
  canvas.addEventListener("mouseleave", hideTip);
  new ResizeObserver(draw).observe(host);
  return host;
}

const frameLine = (f) => (f.function ? brief(f.function) : base(f.module || "") + " " + f.pc);

function frameList(frames) {
  return el("ul", { class: "stack" }, frames.map((f) => el("li", {}, el("span", { class: "mono" }, text(frameLine(f))), " ",
    el("span", { class: "dim" }, text(f.file ? base(f.file) + (f.line ? ":" + f.line : "") : base(f.module || ""))))));
}

/* The first frame of the program, as the functions' roles say. */
function titleOf(p, frames) {
  p.roleByName ||= new Map(p.functions.map((f, i) => [f.name, p.role[i]]));
  return frames.find((f) => f.function && p.roleByName.get(f.function) === OWN) || frames[0] || {};
}

function holdersView(p, extra, holders) {
  if (!holders) return [el("p", { class: "dim" }, "Nobody looked who holds what: the file is a mini-core, or the report was made with --no-leaks.")];
  const all = num(holders.live.bytes), top = holders.roots.filter((r) => !r.place);
  const items = top.map((r) => ({ name: r.name, value: num(r.bytes), count: num(r.count) })).filter((r) => r.value > 0);
  if (num(holders.shared.bytes)) items.push({ name: "held by several", value: num(holders.shared.bytes), count: num(holders.shared.count), shared: true });
  const lost = all - num(holders.reached.bytes);
  if (lost > 0) items.push({ name: "held by nobody", value: lost, count: num(holders.live.count) - num(holders.reached.count), shared: true });
  items.sort((a, b) => b.value - a.value);
  return [
    el("p", {}, "A root, a block or a stack holds what would be free if it were gone. " + bytes(num(holders.reached.bytes)) + " of " + bytes(all) + " is reached."),
    treemap(items, all),
    el("h2", {}, "Roots"),
    table([
      { label: "Holds", number: true, value: (r) => num(r.bytes), text: (r) => bytes(num(r.bytes)), part: (r) => num(r.bytes) / all, class: "pct" },
      { label: "%", number: true, value: (r) => num(r.bytes) / all, text: (r) => percent(num(r.bytes), all) },
      { label: "Blocks", number: true, value: (r) => num(r.count), text: (r) => count(num(r.count)) },
      { label: "Root", value: (r) => r.name, class: "name", cell: (r) => [r.place ? el("span", { class: "dim" }, "\u2514 ") : null, text(r.name)] },
      { label: "Kind", value: (r) => (r.place ? "part of a " : "") + r.kind },
    ], holders.roots, { filter: (r) => r.name }),
    el("h2", {}, "Stacks whose blocks hold others"),
    table([
      { label: "Holds", number: true, value: (s) => num(s.retained_bytes), text: (s) => bytes(num(s.retained_bytes)), part: (s) => num(s.retained_bytes) / all, class: "pct" },
      { label: "Its own", number: true, value: (s) => num(s.bytes), text: (s) => bytes(num(s.bytes)) },
      { label: "Blocks", number: true, value: (s) => num(s.count), text: (s) => count(num(s.count)) },
      { label: "Allocated by", class: "name", value: (s) => frameLine(titleOf(p, s.frames)) },
    ], holders.stacks.filter((s) => s.frames.length), { filter: (s) => s.frames.map(frameLine).join(" "), open: (s) => frameList(s.frames) }),
    el("h2", {}, "Blocks that hold the most"),
    table([
      { label: "Holds", number: true, value: (s) => num(s.retained_bytes), text: (s) => bytes(num(s.retained_bytes)), part: (s) => num(s.retained_bytes) / all, class: "pct" },
      { label: "Blocks", number: true, value: (s) => num(s.retained_count), text: (s) => count(num(s.retained_count)) },
      { label: "Address", value: (b) => b.start || "", class: "mono" },
      { label: "Allocated by", class: "name", value: (b) => frameLine(titleOf(p, b.frames || [])) },
    ], holders.blocks, { open: (b) => [command(gdbLine(p, extra, b.start)), frameList(b.frames || [])] }),
  ];
}
