// The clips of a set, filtered.

import { attempt, get, make } from "./api.js";

const base = `/sets/${document.getElementById("set").dataset.set}`, byId = (name) => document.getElementById(name);
let clips = [], most = 200;

function show() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.fromEntries(["label", "manipulation", "split"].map((name) => [name, byId(name).value]));
  const found = clips.filter((clip) => Object.entries(wanted).every(([name, value]) => !value || clip[name] === value)
    && words.every((word) => `${clip.name} ${clip.target} ${clip.source}`.toLowerCase().includes(word)));
  byId("count").textContent = `${found.length} of ${clips.length} clips`;
  byId("more").hidden = found.length <= most;
  byId("clips").replaceChildren(...found.slice(0, most).map((clip) => make("tr", {},
    make("td", { class: "name" }, make("a", { href: `${base}/${clip.key}` }, clip.name)),
    make("td", {}, make("span", { class: `badge ${clip.label === "real" ? "off" : "bad"}` }, clip.label)),
    ...[clip.manipulation, clip.split, clip.target, clip.source, clip.rendition].map((text) => make("td", {}, text)),
    make("td", { class: "n" }, clip.frames), make("td", { class: "n" }, `${clip.width}×${clip.height}`))));
}

for (const name of ["search", "label", "manipulation", "split"]) byId(name).addEventListener("input", () => { most = 200; show(); });
byId("more").addEventListener("click", () => { most += 500; show(); });
const found = await attempt(() => get(`${base}/clips.json`));
if (found) {
  clips = found.clips;
  for (const name of ["manipulation", "split"]) {
    byId(name).append(...[...new Set(clips.map((clip) => clip[name]).filter(Boolean))].sort().map((value) => make("option", {}, value)));
  }
  show();
}
