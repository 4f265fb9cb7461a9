// A job as a box: title, progress, what it told, and what can be done with it.

import { attempt, duration, get, make, post } from "./api.js";

export function jobBox(job, refresh) {
  const told = job.progress || {}, live = job.state === "waiting" || job.state === "running";
  const act = (label, action, name) => make("button", { type: "button", class: name || false, onclick: async (event) => {
    event.target.disabled = true;
    await attempt(() => post(`/jobs/${job.key}/${action}`));
    await refresh();
  } }, label);
  const actions = make("span", { class: "actions" },
    live ? act("Stop", "stop", "danger") : act(job.kind === "train" && job.state !== "done" ? "Resume" : "Run again", "again"),
    live ? null : act("Remove", "remove", "danger"));
  const bar = make("progress", { "aria-label": "Progress", max: told.total || 1, ...(job.state === "running" && told.total ? { value: told.done } : {}) });
  return make("div", { class: `job ${job.state}`, "data-job": job.key, "data-state": job.state },
    make("span", { class: "name" }, job.title), actions,
    job.state === "running" ? bar : null,
    make("span", { class: "told" }, sentence(job, told)));
}

function sentence(job, told) {
  if (job.state === "waiting") return "Waits for the one before it.";
  if (job.state === "running") {
    const count = told.total ? `${Math.min(told.done, told.total)} of ${told.total} ${told.unit}s` : told.done ? `${told.done} ${told.unit}s` : "";
    return [told.what || "starting", count, told.note, duration(job.seconds)].filter(Boolean).join(" · ");
  }
  const ended = { done: "Done", failed: "Failed", stopped: "Stopped" }[job.state];
  return `${ended} after ${duration(job.seconds)}${job.why ? `: ${job.why}` : ""}`;
}

/** The output of a job, fetched when it is opened. */
export function outputOf(job) {
  const text = make("pre", {});
  return make("details", { ontoggle: async (event) => {
    if (!event.target.open) return;
    const found = await attempt(() => get(`/jobs/${job.key}/output.json`));
    if (found) text.textContent = `$ ${found.words.join(" ")}\n\n${found.output}`;
  } }, make("summary", {}, "Command and output"), text);
}
