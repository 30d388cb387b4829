/* SPDX-License-Identifier: BSD-2-Clause
 *
 * main.js - reads the data, and shows one view at a time.  The view and its
 * settings are in the address after `#`.
 */
const hash = () => new URLSearchParams(location.hash.slice(1));
const getHash = (key) => hash().get(key) || "";
function setHash(key, value) {
  const h = hash();
  if (value === "" || value === null) h.delete(key);
  else h.set(key, value);
  if ("#" + h !== location.hash) history.replaceState(null, "", "#" + h);
}
const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

const began = performance.now();
const extra = parse("extra"), holders = parse("holders");
const profile = new Profile(parse("data"));
const oldJson = parse("old"), old = oldJson ? new Profile(oldJson) : null;
const VIEWS = [
  ["summary", "Summary", summaryView], ["flame", "Flame graph", flameView], ["functions", "Functions", functionsView], ["stacks", "Stacks", stacksView],
  ["holders", "Holders", holdersView], ["leaks", "Leaks", leaksView], old ? ["growth", "Growth", growthView] : null, ["heaps", "Heaps", heapsView],
  ["threads", "Threads", threadsView], extra.crash ? ["crash", "Crash", crashView] : null, ["about", "About", aboutView],
].filter(Boolean);

const main = document.getElementById("main"), nav = document.getElementById("views");
function show(name) {
  const at = Math.max(0, VIEWS.findIndex((v) => v[0] === name)), view = VIEWS[at];
  hideTip();
  [...nav.children].forEach((b, i) => b.setAttribute("aria-current", String(i === at)));
  main.replaceChildren();
  setHash("view", view[0]);
  if ([...hash().keys()].length === 0) setHash("view", view[0]);
  main.append(...view[2](profile, extra, holders, old).flat(3).filter((x) => x !== null && x !== undefined));
  scrollTo(0, 0);
}
const target = profile.json.target;
document.getElementById("name").textContent = text((target.name || "process") + " " + target.pid, 60);
document.getElementById("foot").textContent = "memtrace " + extra.memtrace + " \u00b7 keys: " + (VIEWS.length < 10 ? "1\u2013" + VIEWS.length : "1\u20139 and 0") + " views, / search, t dark or light";
VIEWS.forEach(([name, label], i) => nav.append(el("button", { "data-view": name, title: i < 10 ? "key: " + ((i + 1) % 10) : null, onclick: () => show(name) }, label)));
document.getElementById("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  show(getHash("view"));
});
addEventListener("hashchange", () => show(getHash("view")));
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const input = main.querySelector("input[type=search]");
  if (e.target.matches("input, select, textarea")) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  if (/^[0-9]$/.test(e.key)) { const v = VIEWS[(Number(e.key) + 9) % 10]; if (v) show(v[0]); }
  else if (e.key === "/" && input) { e.preventDefault(); input.focus(); }
  else if (e.key === "t") document.getElementById("theme").click();
});
show(getHash("view"));
window.memtraceReady = performance.now() - began;
