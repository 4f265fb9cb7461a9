// Two cases side by side, stepped together, with the differences of their reports.

import { attempt, get, make } from "./api.js";
import { Player } from "./player.js";

const players = [];
let shift = 0, active = 0;
const linked = document.getElementById("linked");

function follow(from, index) {
  if (!linked.checked || players.length < 2) return;
  const other = players[1 - from], wanted = from === 0 ? index + shift : index - shift;
  if (other.index !== Math.min(other.count - 1, Math.max(0, wanted))) other.go(wanted);
}

async function open() {
  for (const [number, place] of [...document.querySelectorAll(".half")].entries()) {
    const base = `/cases/${place.dataset.case}`, facts = await attempt(() => get(`${base}/clip.json`));
    if (!facts) continue;
    if (!facts.clip) {
      place.replaceChildren(make("div", { class: "stage" }, make("p", { class: "message" }, facts.why)));
      continue;
    }
    const player = new Player(place, base, facts, { compact: true });
    players[number] = player;
    player.root.addEventListener("focusin", () => { active = number; });
    player.root.addEventListener("pointerdown", () => { active = number; });
    player.listeners.push((index) => follow(number, index));
  }
  window.players = players;
}

linked.addEventListener("change", () => {
  if (linked.checked && players.length === 2) shift = players[1].index - players[0].index;
  document.getElementById("offset").textContent = shift === 0 ? "at the same index" : `${Math.abs(shift)} ${shift > 0 ? "later" : "earlier"}`;
});
document.addEventListener("keydown", (event) => { const player = players[active] || players[0]; if (player) player.key(event); });

async function differences() {
  const said = document.getElementById("same"), table = document.getElementById("differences");
  const found = await attempt(() => get(`/cases/compare/${said.dataset.pair}/differences.json`));
  if (!found) { said.textContent = "They could not be compared."; return; }
  const number = found.differences.length;
  said.textContent = `${found.same_file ? "Both are about the same file" : "They are about two different files"}; ${number || "no"} ${number === 1 ? "difference" : "differences"}.`;
  table.hidden = number === 0;
  table.querySelector("tbody").replaceChildren(...found.differences.slice(0, 500).map((one) => make("tr", {}, make("td", {}, one.what), make("td", {}, one.first), make("td", {}, one.second))));
}

open();
differences();
