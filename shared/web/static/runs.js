// The list of runs, and the form that starts one.

import { attempt, every, get, make, moment, post } from "./api.js";
import { jobBox } from "./joblist.js";
import { short } from "./plot.js";

const place = document.getElementById("runs"), form = document.getElementById("start"), kind = document.getElementById("kind");
let shown = "";

function card(run) {
  const latest = run.previews?.at(-1);
  const share = run.steps ? Math.min(1, run.step / run.steps) : null;
  const on = run.state === "running" || run.state === "active elsewhere";
  return make("a", { class: "run card", href: `/runs/${run.key}`, "data-run": run.key },
    latest ? make("img", { src: `/runs/${run.key}/previews/${latest.name}?at=${latest.time}`, alt: "", loading: "lazy" }) : make("span", { class: "noimg" }, run.kind || "run"),
    make("span", { class: "name" }, run.name),
    make("span", { class: "small" }, make("span", { class: `badge ${run.fault ? "bad" : on ? "on" : "off"}` }, run.state), ` ${run.kind} ${run.model || ""}`),
    make("span", { class: "small" }, run.fault || [`step ${run.step}${run.steps ? ` of ${run.steps}` : ""}`, run.loss === undefined || run.loss === null ? "" : `loss ${short(run.loss)}`, moment(run.changed)].filter(Boolean).join(" · ")),
    share === null ? null : make("progress", { max: 1, value: share, "aria-label": "Steps" }));
}

async function refresh() {
  const found = await get("/runs/list.json"), state = JSON.stringify(found);
  if (state === shown) return;
  shown = state;
  place.replaceChildren(...found.runs.map(card));
  document.getElementById("early").replaceChildren(...found.jobs.map((job) => jobBox(job, refresh)));
  document.getElementById("none").hidden = found.runs.length + found.jobs.length > 0;
}

function fit() {
  for (const node of form.querySelectorAll("[data-for]")) node.hidden = node.dataset.for !== kind.value;
}

kind.addEventListener("change", fit);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const values = Object.fromEntries(["kind", "name", "recipe", "model", "set"].map((name) => [name, data.get(name)]));
  const answer = await attempt(() => post("/runs/start", { ...values, steps: Number(data.get("steps")), facesets: data.getAll("facesets") }));
  if (answer) {
    form.closest("details").open = false;
    await refresh();
  }
});
fit();
every(2, refresh);
