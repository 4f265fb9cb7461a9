// The list of facesets: two or more of one person are chosen and merged into a new one.

import { attempt, post } from "./api.js";

const form = document.getElementById("merge"), boxes = [...document.querySelectorAll("[name=faceset]")];
const person = document.getElementById("person"), said = document.getElementById("chosen"), asked = said?.textContent;
const chosen = () => boxes.filter((box) => box.checked);

function tell() {
  const found = chosen(), enough = found.length > 1;
  said.textContent = enough ? `${found.map((box) => box.dataset.name).join(" and ")} become a new faceset; they stay as they are.` : asked;
  person.hidden = form.querySelector("button").hidden = !enough;
}

boxes.forEach((box) => box.addEventListener("change", tell));
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const answer = await attempt(() => post("/faces/merge", { facesets: chosen().map((box) => box.value), name: person.value }));
  button.disabled = false;
  if (answer) location.assign(`/faces/${answer.key}`);
});
if (form) tell();
