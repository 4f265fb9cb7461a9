// All jobs with their output.

import { every, get } from "./api.js";
import { jobBox, outputOf } from "./joblist.js";

const place = document.getElementById("jobs");
let shown = "";

async function refresh() {
  const { jobs } = await get("/jobs/list.json");
  const state = JSON.stringify(jobs);
  if (state === shown) return;
  shown = state;
  const open = new Set([...place.querySelectorAll("details[open]")].map((node) => node.closest(".job").dataset.job));
  place.replaceChildren(...jobs.map((job) => {
    const box = jobBox(job, refresh), output = outputOf(job);
    box.append(output);
    if (open.has(job.key)) output.open = true;
    return box;
  }));
  document.getElementById("none").hidden = jobs.length > 0;
}

every(1, refresh);
