/* SPDX-License-Identifier: BSD-2-Clause
 *
 * timeline.js - live bytes and resident memory over the life of the process.
 */

/* svg("path", {d: "..."}, child...) */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const TIME_W = 300, TIME_H = 96;

function timelineCard(extra) {
  const t = extra.timeline;
  if (!t || t.samples.length < 2) return null;
  const list = t.samples.concat([t.now]).map((s) => ({ at: num(s.s), live: num(s.live_bytes), rss: num(s.resident_bytes), allocs: num(s.allocs) }));
  const end = list[list.length - 1].at || 1;
  const most = list.reduce((m, s) => Math.max(m, s.live, s.rss), 1), top = list.reduce((m, s) => (s.live > m.live ? s : m));
  const x = (s) => (s.at / end) * TIME_W, y = (v) => TIME_H - (v / most) * (TIME_H - 4);
  const line = (points) => points.map((q, i) => (i ? "L" : "M") + q[0].toFixed(1) + " " + q[1].toFixed(1)).join("");
  const live = list.map((s) => [x(s), y(s.live)]), rss = list.filter((s) => s.rss).map((s) => [x(s), y(s.rss)]);
  const cursor = svg("line", { class: "cursor", y1: "0", y2: String(TIME_H), x1: "-9", x2: "-9" });
  const picture = svg("svg", { viewBox: "0 0 " + TIME_W + " " + TIME_H, preserveAspectRatio: "none", role: "img", class: "timeline",
    "aria-label": "live bytes over time, at most " + bytes(top.live) + " " + span(top.at) + " after the start" },
    svg("path", { class: "area", d: line([[live[0][0], TIME_H]].concat(live, [[TIME_W, TIME_H]])) + "Z" }),
    svg("path", { class: "live", d: line(live) }), svg("path", { class: "rss", d: line(rss) }), cursor);
  picture.addEventListener("mousemove", (e) => {
    const box = picture.getBoundingClientRect(), at = ((e.clientX - box.left) / box.width) * end;
    const i = list.reduce((best, s, k) => (Math.abs(s.at - at) < Math.abs(list[best].at - at) ? k : best), 0), s = list[i], before = list[i - 1];
    cursor.setAttribute("x1", x(s));
    cursor.setAttribute("x2", x(s));
    showTip(e, [span(s.at) + " after the start", "live " + bytes(s.live), s.rss ? "RSS " + bytes(s.rss) : "RSS not known",
      before && s.at > before.at ? Math.round((s.allocs - before.allocs) / (s.at - before.at)).toLocaleString("en") + " allocations/s" : ""].filter(Boolean));
  });
  picture.addEventListener("mouseleave", hideTip);
  return [el("h2", {}, "Over time"), el("div", { class: "card" }, picture,
    el("div", { class: "ends dim" }, el("span", {}, "start"), el("span", {},
      el("i", { class: "key live" }), "live, at most " + bytes(top.live), rss.length ? [" ", el("i", { class: "key rss" }), "RSS"] : null),
      el("span", {}, span(end))))];
}
