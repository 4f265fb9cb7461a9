// Audits and scoreboards of a set: what there is, what runs, and buttons to start them.

import { attempt, every, get, make, moment, post } from "./api.js";
import { jobBox } from "./joblist.js";

const base = `/sets/${document.getElementById("set").dataset.set}`, byId = (name) => document.getElementById(name);
let detectors = "";

const outdated = (row) => (row.outdated ? make("span", { class: "differs" }, " of an earlier state of the set") : null);
const about = (row) => make("span", { class: "small" }, `${moment(row.made)}, ${row.place}`);

function auditLine(row) {
  const badge = make("span", { class: `badge ${{ "nothing named": "on", "to be mended": "bad" }[row.outcome] || "off"}` }, row.outcome);
  return make("li", { "data-audit": row.key }, make("a", { href: `/audits/${row.key}` }, `${row.summary}.`), " ", badge, outdated(row), make("br"), about(row));
}

function boardLine(row) {
  const text = row.detectors.map((name, i) => `${name}: AUC ${row.auc[i]}`).join("; ");
  return make("li", { "data-board": row.key }, make("a", { href: `/boards/${row.key}` }, text), outdated(row), make("br"), about(row));
}

async function refresh() {
  const found = await get(`${base}/results.json`);
  const none = (text) => [make("li", { class: "soft" }, text)];
  byId("audits").replaceChildren(...(found.audits.length ? found.audits.map(auditLine) : none("None yet.")));
  byId("boards").replaceChildren(...(found.boards.length ? found.boards.map(boardLine) : none("None yet.")));
  byId("set-jobs").replaceChildren(...found.jobs.map((job) => jobBox(job, refresh)));
  const listed = JSON.stringify([found.detectors, found.splits]);
  if (listed === detectors) return;
  detectors = listed;
  byId("scored-split").replaceChildren(...found.splits.map((name) => make("option", {}, name)));
  byId("detectors").replaceChildren(...found.detectors.map((one, i) => make("label", { class: "check" },
    make("input", { type: "checkbox", name: "detector", value: one.key, checked: i === 0 }), one.name)));
}

byId("audit").addEventListener("click", async () => {
  if (await attempt(() => post(`${base}/audit`))) await refresh();
});
byId("audit").disabled = false; // a click before this line would be lost
byId("score").addEventListener("submit", async (event) => {
  event.preventDefault();
  const chosen = [...document.querySelectorAll("[name=detector]:checked")].map((box) => box.value);
  if (await attempt(() => post(`${base}/score`, { detectors: chosen, split: byId("scored-split").value, quality: byId("quality").checked }))) await refresh();
});
every(1.5, refresh);
