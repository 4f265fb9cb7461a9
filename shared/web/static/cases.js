// The list of cases: files dropped in, their queue, search, and two to compare.

import { attempt, every, get, make, moment, send, signed, size, toast } from "./api.js";
import { jobBox } from "./joblist.js";

const drop = document.getElementById("drop"), input = document.getElementById("files");
const search = document.getElementById("search"), compare = document.getElementById("compare");
const queue = document.getElementById("queue"), body = document.querySelector("#cases tbody");
const chosen = new Set(), sending = new Map();
let cases = [], jobs = [], shown = "";

async function handIn(files) {
  for (const file of files) {
    const box = make("div", { class: "job" }, make("span", { class: "name" }, file.name), make("span", {}),
      make("progress", { max: 1, value: 0, "aria-label": "Sent" }), make("span", { class: "told" }, `sending ${size(file.size)}`));
    sending.set(file, box);
    showQueue();
    await attempt(() => send("/cases/files", file, (share) => { box.querySelector("progress").value = share; }));
    sending.delete(file);
    await refresh();
  }
}

for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.toggle("over", over); });
}
drop.addEventListener("drop", (event) => handIn([...event.dataTransfer.files]));
input.addEventListener("change", () => { handIn([...input.files]); input.value = ""; });
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());

function showQueue() {
  const open = jobs.filter((job) => job.state !== "done");
  queue.hidden = !open.length && !sending.size;
  queue.replaceChildren(...sending.values(), ...open.map((job) => jobBox(job, refresh)));
}

function row(one) {
  const pick = make("input", { type: "checkbox", "aria-label": `Choose ${one.name}`, checked: chosen.has(one.key), onchange: () => {
    if (pick.checked) chosen.add(one.key); else chosen.delete(one.key);
    compare.disabled = chosen.size !== 2;
  } });
  const name = make("td", { class: "name" }, make("a", { href: `/cases/${one.key}` }, one.name), make("div", { class: "small" }, one.fault || `${one.place}${one.size ? `, ${size(one.size)}` : ""}`));
  const badge = one.verdict ? make("span", { class: `badge verdict-${one.verdict.replaceAll(" ", "-")}` }, one.verdict) : make("span", { class: "badge bad" }, "damaged");
  const sound = one.sound ? make("span", { class: `badge verdict-${one.sound.replaceAll(" ", "-")}` }, `sound: ${one.sound}`) : null;
  return make("tr", { "data-case": one.key }, make("td", { class: "pick" }, pick),
    make("td", { class: "thumb" }, one.picture ? make("img", { src: `/cases/${one.key}/evidence/${one.picture}`, alt: "", loading: "lazy" }) : ""),
    name, make("td", {}, badge, sound && " ", sound), make("td", { class: "n extra" }, signed(one.logit)), make("td", { class: "n extra" }, one.tracks ?? ""),
    make("td", { class: "n extra" }, one.differs || ""), make("td", { class: "n extra" }, moment(one.made)));
}

function showCases() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = cases.filter((one) => words.every((word) => [one.name, one.verdict, one.sound, one.place, one.sha256].join(" ").toLowerCase().includes(word)));
  const state = JSON.stringify([matching.map((one) => [one.key, one.made, one.verdict, one.sound])]);
  if (state !== shown) body.replaceChildren(...matching.map(row));
  shown = state;
  document.getElementById("none").hidden = cases.length > 0;
}

async function refresh() {
  const before = new Set(jobs.filter((job) => job.state === "running").map((job) => job.key));
  ({ cases, jobs } = await get("/cases/list.json"));
  for (const job of jobs) if (job.state === "failed" && before.has(job.key)) toast(`${job.title}: ${job.why}`, true);
  for (const key of [...chosen]) if (!cases.some((one) => one.key === key)) chosen.delete(key);
  compare.disabled = chosen.size !== 2;
  showQueue();
  showCases();
}

search.addEventListener("input", showCases);
compare.addEventListener("click", () => { location.href = `/cases/compare/${[...chosen].join("/")}`; });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
every(1, refresh);
