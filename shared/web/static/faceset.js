// The wall of a faceset: crops sorted and filtered, marked, set aside and taken back.

import { attempt, get, make, post, toast } from "./api.js";

const base = `/faces/${document.getElementById("faceset").dataset.faceset}`, byId = (name) => document.getElementById(name);
const wall = byId("wall"), marked = new Set();
let columns = null, clips = [], order = [], most = 300, last = null, compared = "", soon = 0;

async function load() {
  const found = await attempt(() => get(`${base}/faces.json`));
  if (!found) return;
  ({ columns, clips } = found);
  for (const name of ["unlikeness", "likeness"]) byId("sort").querySelector(`[value=${name}]`).hidden = !columns.unlikeness;
  if (byId("clip").options.length === 1) byId("clip").append(...clips.map((name, i) => make("option", { value: i }, name)));
  arrange();
}

function arrange() {
  const which = byId("which").value, clip = byId("clip").value, by = byId("sort").value;
  const values = by === "frame" ? columns.clip.map((one, row) => one * 1e8 + columns.frame[row]) : columns[by] || columns.frame;
  const fits = { all: () => true, kept: (row) => columns.kept[row], aside: (row) => !columns.kept[row], marked: (row) => marked.has(row) }[which];
  const way = byId("turn").getAttribute("aria-pressed") === "true" ? -1 : 1;
  order = columns.kept.map((_, row) => row).filter((row) => fits(row) && (clip === "" || columns.clip[row] === Number(clip)));
  order.sort((a, b) => way * (values[a] - values[b]) || a - b);
  show();
}

function show() {
  const by = byId("sort").value, focused = document.activeElement?.dataset?.row;
  wall.replaceChildren(...order.slice(0, most).map((row) => {
    const value = by === "frame" ? `${columns.seconds[row].toFixed(2)} s` : String(columns[by]?.[row] ?? "");
    const about = `face ${row}: frame ${columns.frame[row]}, yaw ${columns.yaw_degrees[row]}°, pitch ${columns.pitch_degrees[row]}°, sharpness ${columns.sharpness[row]}, ${columns.width_px[row]} px${columns.kept[row] ? "" : ", set aside"}`;
    return make("div", { class: `face${columns.kept[row] ? "" : " aside"}`, role: "option", tabindex: "-1", "data-row": row, "aria-selected": String(marked.has(row)), "aria-label": about, title: about },
      make("img", { src: `${base}/crops/${row}.png`, alt: "", loading: "lazy" }), make("span", {}, value));
  }));
  const first = wall.querySelector(`[data-row="${focused}"]`) || wall.firstElementChild;
  if (first) first.tabIndex = 0;
  if (focused !== undefined) first?.focus();
  byId("more").hidden = order.length <= most;
  tell();
}

function tell() {
  byId("marked").textContent = marked.size ? `${marked.size} marked` : "none marked";
  const rows = [...marked];
  byId("remove").disabled = !rows.some((row) => columns.kept[row]);
  byId("restore").disabled = !rows.some((row) => !columns.kept[row]);
  for (const id of ["clear", "track"]) byId(id).disabled = !rows.length;
  byId("move").hidden = !rows.length;
  const kept = columns.kept.filter(Boolean).length;
  byId("counts").textContent = `${kept} of ${columns.kept.length} kept`;
  compareAgain();
}

/** Sorted by likeness, the wall follows the marks, a moment after the last of several. */
function compareAgain() {
  clearTimeout(soon);
  if (byId("sort").value !== "likeness" || !marked.size || compared === String([...marked])) return;
  soon = setTimeout(async () => { await sortByLikeness(); arrange(); }, 700);
}

function mark(row, range) {
  if (range && last !== null && order.includes(last)) {
    const [from, to] = [order.indexOf(last), order.indexOf(row)].sort((a, b) => a - b);
    order.slice(from, to + 1).forEach((one) => marked.add(one));
  } else if (marked.has(row)) marked.delete(row);
  else marked.add(row);
  last = row;
  for (const node of wall.children) node.setAttribute("aria-selected", String(marked.has(Number(node.dataset.row))));
  tell();
}

async function change(name) {
  const rows = [...marked].filter((row) => columns.kept[row] === (name === "remove"));
  if (!rows.length) return;
  for (const id of ["remove", "restore"]) byId(id).disabled = true;
  const answer = await attempt(() => post(`${base}/keep`, { [name]: rows }));
  if (answer) {
    rows.forEach((row) => { columns.kept[row] = name === "restore"; });
    marked.clear();
    toast(`${rows.length} ${rows.length === 1 ? "face" : "faces"} ${name === "remove" ? "set aside" : "taken back"}: ${answer.kept} of ${answer.faces} kept.`);
  }
  arrange();
}

/** Marks all faces on the tracks of the marked ones: a track follows one face through a clip. */
function wholeTracks() {
  const tracks = new Set([...marked].map((row) => columns.track[row]));
  columns.track.forEach((track, row) => tracks.has(track) && marked.add(row));
  show();
}

/** Sorts by the distance of identities from the mean of the marked faces. */
async function sortByLikeness() {
  const asked = compared = String([...marked]), found = await attempt(() => post(`${base}/likeness`, { rows: [...marked] }));
  if (asked !== compared) return; // other marks were compared meanwhile
  if (found) columns.likeness = found.distances;
  else byId("sort").value = "frame";
}

async function move() {
  const to = byId("to").value, rows = [...marked], button = byId("move").querySelector("button");
  if (!rows.length) return;
  button.disabled = true;
  const answer = await attempt(() => post(`${base}/move`, { rows, ...(to ? { to } : { name: byId("person").value }) }));
  button.disabled = false;
  if (!answer) return;
  rows.forEach((row) => { columns.kept[row] = false; });
  marked.clear();
  if (!to) {
    byId("to").append(make("option", { value: answer.key }, answer.name));
    byId("person").value = "";
  }
  toast(`${rows.length} ${rows.length === 1 ? "face" : "faces"} moved to ${answer.name}, which keeps ${answer.kept} now.`);
  arrange();
}

function walk(node, event) {
  const across = Math.max(1, Math.round(wall.clientWidth / (node.offsetWidth + 8)));
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
  const next = wall.children[[...wall.children].indexOf(node) + step];
  if (!next) return;
  node.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

wall.addEventListener("click", (event) => {
  const node = event.target.closest(".face");
  if (!node) return;
  node.focus();
  mark(Number(node.dataset.row), event.shiftKey);
});
wall.addEventListener("keydown", (event) => {
  const node = event.target.closest(".face");
  if (!node) return;
  if (event.key === " " || event.key === "Enter") mark(Number(node.dataset.row), event.shiftKey);
  else if (event.key.startsWith("Arrow")) walk(node, event);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (document.activeElement?.matches("select, input, textarea") || event.ctrlKey || event.metaKey) return;
  if (event.key === "x") change("remove");
  else if (event.key === "k") change("restore");
  else if (event.key === "t" && marked.size) wholeTracks();
  else if (event.key === "m" && marked.size) { event.preventDefault(); byId("to").focus(); }
  else if (event.key === "Escape") { marked.clear(); arrange(); }
});
for (const name of ["sort", "which", "clip"]) byId(name).addEventListener("input", async () => {
  if (name === "sort" && byId("sort").value === "likeness") await sortByLikeness();
  most = 300;
  arrange();
});
byId("track").addEventListener("click", wholeTracks);
byId("to").addEventListener("input", () => { byId("person").hidden = Boolean(byId("to").value); });
byId("move").addEventListener("submit", (event) => { event.preventDefault(); move(); });
byId("turn").addEventListener("click", () => { byId("turn").setAttribute("aria-pressed", String(byId("turn").getAttribute("aria-pressed") !== "true")); arrange(); });
byId("size").addEventListener("input", () => wall.style.setProperty("--side", `${byId("size").value}px`));
byId("more").addEventListener("click", () => { most += 600; show(); });
byId("remove").addEventListener("click", () => change("remove"));
byId("restore").addEventListener("click", () => change("restore"));
byId("clear").addEventListener("click", () => { marked.clear(); arrange(); });
load();
