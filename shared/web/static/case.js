// One case: the player with its faces, notes, custody, report and log.

import { attempt, get, make, post, signed, toast } from "./api.js";
import { Player } from "./player.js";
import { tabs } from "./tabs.js";

const place = document.getElementById("player");
const base = `/cases/${place.dataset.case}`;
let player = null;

async function openPlayer() {
  const facts = await attempt(() => get(`${base}/clip.json`));
  if (!facts) return;
  listTracks(facts.tracks);
  if (facts.regions_fault) toast(facts.regions_fault, true);
  if (!facts.clip) {
    place.replaceChildren(make("div", { class: "stage" }, make("p", { class: "message" }, `${facts.why} The report is complete without it.`)));
    return;
  }
  player = new Player(place, base, facts);
  player.listeners.push((index) => { document.getElementById("note-index").textContent = index; });
  window.player = player;
  await showLog();
}

function listTracks(tracks) {
  const card = document.getElementById("tracks");
  card.hidden = tracks.length === 0;
  card.querySelector("div").className = "tracklist";
  card.querySelector("div").replaceChildren(...tracks.map((track) => {
    const mean = track.logits.reduce((sum, value) => sum + value, 0) / track.logits.length;
    const box = make("input", { type: "checkbox", checked: true, onchange: () => {
      track.off = !box.checked;
      if (player) { player.paint(); player.timeline.render(); }
    } });
    return make("label", {}, box, make("span", { class: `swatch c${track.track % 6}` }), `face ${track.track}`,
      make("span", { class: "soft" }, `mean ${signed(mean)}, ${track.frames.length} frames`));
  }));
}

async function showLog(steps) {
  const found = steps || (await attempt(() => get(`${base}/log.json`)))?.steps || [];
  const notes = found.filter((step) => step.step === "note");
  document.getElementById("notes").replaceChildren(...notes.map((step) => {
    const { text, frame, by } = step.details;
    const jump = frame === undefined ? null : make("button", { type: "button", onclick: () => player && player.go(frame) }, `frame ${frame}`);
    return make("li", {}, make("div", {}, String(text)), make("p", { class: "small" }, [by, step.began.slice(0, 16).replace("T", " ")].filter(Boolean).join(", "), " ", jump));
  }));
  document.getElementById("steps").replaceChildren(...found.map((step) => make("tr", {},
    make("td", { class: "n" }, step.number), make("td", {}, step.step), make("td", { class: "n" }, step.began.slice(0, 19).replace("T", " ")),
    make("td", {}, details(step.details)))));
  if (player) {
    player.timeline.marks = notes.filter((step) => step.details.frame !== undefined).map((step) => ({ frame: step.details.frame, title: String(step.details.text) }));
    player.timeline.render();
  }
}

function details(values) {
  const pairs = Object.entries(values);
  const short = pairs.slice(0, 2).map(([name, value]) => `${name}: ${String(value).split(/[/\\]/).at(-1).slice(0, 60)}`).join(", ");
  if (pairs.length < 3) return short;
  return make("details", {}, make("summary", {}, `${short}, ${pairs.length - 2} more`), make("dl", { class: "facts-list" },
    ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])));
}

document.getElementById("note").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = document.getElementById("note-text"), by = document.getElementById("note-by");
  const about = document.getElementById("note-frame").checked && player ? { frame: player.index } : {};
  const button = event.target.querySelector("button");
  button.disabled = true;
  const answer = await attempt(() => post(`${base}/notes`, { text: text.value, by: by.value, ...about }));
  button.disabled = false;
  if (answer) {
    text.value = "";
    toast("The note is in the custody log.");
    await showLog(answer.steps);
    if (player) player.stage.focus();
  }
});

document.getElementById("verify").addEventListener("click", async (event) => {
  const said = document.getElementById("verified");
  event.target.disabled = true;
  said.textContent = "Checking every file…";
  const found = await attempt(() => post(`${base}/verify`));
  event.target.disabled = false;
  if (!found) { said.textContent = ""; return; }
  said.className = found.sound ? "small" : "small differs";
  said.textContent = found.sound
    ? `Nothing changed: ${found.files} files and ${found.steps} steps, signed by ${found.signer}.`
    : `Not as it was signed: ${(found.faults || ["the check failed"]).slice(0, 5).join("; ")}.`;
});

tabs(document.querySelector(".tabs"), (id) => {
  const frame = document.querySelector("iframe.report");
  if (id === "tab-report" && !frame.src) frame.src = frame.dataset.src;
  if (id === "tab-log") showLog();
});

document.addEventListener("keydown", (event) => {
  if (document.getElementById("panel-player").hidden) return;
  if (event.key === "Escape" && document.activeElement) document.activeElement.blur();
  if (player && player.key(event)) return;
  if (event.key.toLowerCase() === "n" && document.activeElement?.id !== "note-text" && document.activeElement?.id !== "note-by" && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById("note-text").focus();
  }
});

const by = document.getElementById("note-by");
by.value = localStorage.getItem("assay-note-by") || "";
by.addEventListener("change", () => localStorage.setItem("assay-note-by", by.value));
openPlayer();
