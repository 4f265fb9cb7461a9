// One run: its curves and previews while it trains.

import { attempt, duration, every, get, make, post } from "./api.js";
import { Chart } from "./plot.js";

const root = document.getElementById("run"), base = `/runs/${root.dataset.run}`;
const byId = (name) => document.getElementById(name);
const charts = new Map();
let seen = "", columns = {}, following = true, previews = [];

/** Groups of curves: those of one name before a slash together. */
function groups() {
  const found = new Map(), skip = new Set(["seconds", "data_share"]);
  for (const name of Object.keys(columns)) {
    if (skip.has(name)) continue;
    const group = name.includes("/") ? `${name.split("/")[0]} by part` : name;
    found.set(group, [...(found.get(group) || []), name]);
  }
  const weight = (name) => (name === "loss" ? 0 : name.startsWith("val") ? 1 : name.startsWith("loss") ? 2 : 3);
  return [...found].sort((a, b) => weight(a[0]) - weight(b[0]) || a[0].localeCompare(b[0])).slice(0, 40);
}

function showCurves() {
  const options = { log: byId("log").checked, smooth: byId("smooth").checked };
  const order = groups();
  for (const [group, names] of order) {
    if (!charts.has(group)) charts.set(group, new Chart(group, (text) => { byId("read-off").textContent = text || ""; }));
    charts.get(group).set(names.slice(0, 12).map((name) => ({ name: name.split("/").at(-1), ...columns[name] })), options);
  }
  const nodes = order.map(([group]) => charts.get(group).root), place = byId("charts");
  if ([...place.children].some((node, i) => node !== nodes[i]) || place.children.length !== nodes.length) place.replaceChildren(...nodes);
  if (!nodes.length) place.replaceChildren(make("p", { class: "empty" }, "No metrics yet: the first line comes after some steps."));
}

function showPreview() {
  const which = byId("which"), image = byId("preview"), one = previews[following ? previews.length - 1 : Number(which.value)];
  image.hidden = !one;
  byId("no-preview").hidden = Boolean(one);
  byId("history").hidden = previews.length < 2;
  which.max = Math.max(0, previews.length - 1);
  if (following) which.value = which.max;
  if (!one) return;
  const address = `${base}/previews/${one.name}?at=${one.time}`;
  if (image.getAttribute("src") !== address) image.setAttribute("src", address);
  byId("preview-link").href = address;
  byId("which-step").textContent = one.step < 0 ? "latest" : `step ${one.step}`;
}

async function refresh() {
  const run = await get(`${base}/state.json`), live = run.state === "running" || run.state === "waiting";
  const badge = byId("state"), progress = byId("progress");
  badge.textContent = run.state;
  badge.className = `badge ${live || run.state === "active elsewhere" ? "on" : "off"}`;
  byId("stop").hidden = !live;
  byId("resume").hidden = live || run.state === "active elsewhere";
  const told = live ? [run.progress.what, run.progress.note] : [run.why];
  byId("told").textContent = [`step ${run.step}${run.steps ? ` of ${run.steps}` : ""}`, run.seconds ? duration(run.seconds) : "", ...told].filter(Boolean).join(" · ");
  progress.hidden = !run.steps;
  if (run.steps) { progress.max = run.steps; progress.value = run.step; }
  previews = run.previews || [];
  showPreview();
  const mark = `${run.step} ${run.changed}`;
  if (mark !== seen) {
    seen = mark;
    columns = await get(`${base}/curves.json`);
    showCurves();
  }
}

for (const name of ["log", "smooth"]) byId(name).addEventListener("change", showCurves);
byId("which").addEventListener("input", () => { following = Number(byId("which").value) === previews.length - 1; showPreview(); });
for (const name of ["stop", "resume"]) {
  byId(name).addEventListener("click", async (event) => {
    event.target.disabled = true;
    await attempt(() => post(`${base}/${name}`));
    await attempt(refresh);
    event.target.disabled = false;
  });
}
every(2, refresh);
