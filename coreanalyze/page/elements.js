/* SPDX-License-Identifier: BSD-2-Clause
 *
 * elements.js - elements of the page, made of text alone: a name of the target
 * is never parsed as HTML.
 */

/* el("td", {class: "n"}, "text", otherElement) */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) { if (value) element.addEventListener(key.slice(2), value); }
    else if (key === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(2)) if (child !== null && child !== undefined && child !== "") element.append(child);
  return element;
}

/* Characters that turn text around would let a name look like another. */
const BIDI = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;
const LONGEST = 400;
function text(s, longest) {
  s = String(s).replace(BIDI, "\ufffd");
  longest = longest || LONGEST;
  return s.length > longest ? s.slice(0, longest) + "\u2026" : s;
}

const tip = document.getElementById("tip");
function showTip(event, lines) {
  tip.replaceChildren(...lines.map((line, i) => el("div", { style: i ? { opacity: ".8" } : {} }, text(line, 600))));
  tip.hidden = false;
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const y = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 8 : event.clientY + 18;
  tip.style.left = Math.max(4, x) + "px";
  tip.style.top = Math.max(4, y) + "px";
}
const hideTip = () => { tip.hidden = true; };

function copy(value, button) {
  const done = () => {
    const was = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = was; }, 1200);
  };
  const old = () => {
    const area = el("textarea", {}, "");
    area.value = value;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    done();
  };
  window.memtraceCopied = value;
  if (navigator.clipboard) navigator.clipboard.writeText(value).then(done, old);
  else old();
}

const command = (value) => el("div", { class: "cmd" }, el("code", { title: text(value) }, text(value)),
  el("button", { onclick: (e) => { e.stopPropagation(); copy(value, e.target); } }, "Copy"));

/* Eight bars, the oldest first; `lines(i)` gives the lines of a tip. */
function agesBars(ages, big, lines) {
  const most = Math.max(1, ...ages);
  const bars = [];
  for (let i = 0; i < 8; i++) {
    const v = ages[i] || 0;
    bars.push(el("span", { onmousemove: lines ? (e) => showTip(e, lines(i)) : null, onmouseleave: lines ? hideTip : null },
      el("i", { style: { height: v ? Math.max(4, (v / most) * 100) + "%" : "1px", opacity: v ? "1" : ".35" } })));
  }
  return el("div", { class: "ages" + (big ? " big" : ""), role: "img", "aria-label": "by age, the oldest first: " + ages.join(" ") }, bars);
}

/* The frames of a stack; those of libraries are dim. */
function stackList(p, node, title) {
  const items = p.path(node).map((n) => {
    const fn = p.functionOf(n), role = p.role[fn];
    return el("li", { class: n === title ? "own" : role === OWN ? "" : "lib" },
      el("span", { class: "mono" }, text(p.brief[fn])), " ",
      el("span", { class: "dim" }, text(p.placeOf(n))),
      p.frames[p.frame[n]].inlined ? el("span", { class: "dim" }, " (inlined)") : null);
  });
  return el("ul", { class: "stack" }, items);
}
