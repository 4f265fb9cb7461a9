// A clip of a set: its panes side by side, stepped by frame together; a mask over the fake.

import { attempt, get, make, typing } from "./api.js";
import { Frames } from "./frames.js";
import { icon } from "./player.js";
import { Timeline } from "./timeline.js";

const place = document.getElementById("panes"), base = place.dataset.base;
const TITLES = { fake: "Fake", real: "Real", original: "Original", alpha: "Mask: alpha", changed: "Mask: changed", region: "Mask: region" };

class Panes {
  constructor(facts) {
    this.facts = facts;
    this.count = Math.max(1, facts.frames || facts.clip.frames);
    this.index = 0;
    this.panes = facts.panes.map((pane) => {
      const frames = new Frames((index) => `${base}/${pane.name}/${index + pane.shift}.jpg`);
      frames.count = this.count;
      const canvas = make("canvas", { width: facts.clip.width, height: facts.clip.height });
      return { ...pane, frames, canvas, node: make("figure", { class: "pane" }, canvas, make("figcaption", {}, TITLES[pane.name])) };
    });
    this.masks = this.panes.filter((pane) => TITLES[pane.name].startsWith("Mask"));
    const bands = facts.faked.map(([start, stop]) => ({ class: "forged", start, stop: stop - 1, title: `forged: frames ${start} to ${stop - 1}` }));
    this.timeline = new Timeline({ count: this.count, rate: facts.clip.rate, tracks: [], threshold: null, bands }, (index) => this.go(index));
    this.timeline.node.classList.add("low");
    const step = (name, title, amount) => make("button", { type: "button", title, "aria-label": title, onclick: () => this.go(this.index + amount) }, icon(name));
    this.number = make("input", { type: "number", min: "0", value: "0", "aria-label": "Frame number", onchange: () => this.go(Number(this.number.value)) });
    this.label = make("span", { class: "badge" });
    this.over = make("select", { "aria-label": "Mask over the fake", onchange: () => this.go(this.index) }, make("option", { value: "" }, "no mask over it"),
      ...this.masks.map((pane) => make("option", { value: pane.name }, `${pane.name} over it`)));
    const bar = make("div", { class: "bar" }, make("span", { class: "group" }, step("back10", "Ten frames back (Shift+Left)", -10), step("back", "One frame back (Left)", -1), step("on", "One frame on (Right)", 1), step("on10", "Ten frames on (Shift+Right)", 10)),
      this.number, this.label, make("span", { class: "spread" }), this.masks.length ? this.over : null);
    this.root = make("div", { class: "player panes" }, make("div", { class: "row-of-panes", tabindex: "0" }, ...this.panes.map((pane) => pane.node)), bar, this.timeline.node);
    place.replaceChildren(this.root);
    this.go(0);
  }

  async go(wanted) {
    const index = Math.min(this.count - 1, Math.max(0, Math.round(wanted) || 0)), direction = index < this.index ? -1 : 1;
    this.index = index;
    this.number.value = index;
    this.timeline.move(index);
    const forged = this.facts.faked.some(([start, stop]) => index >= start && index < stop);
    this.label.textContent = forged ? "forged in this frame" : "not forged in this frame";
    this.label.className = `badge ${forged ? "bad" : "off"}`;
    const pictures = await Promise.all(this.panes.map((pane) => pane.frames.get(index).catch(() => null)));
    if (this.index !== index) return;
    this.panes.forEach((pane, i) => {
      const context = pane.canvas.getContext("2d");
      context.clearRect(0, 0, pane.canvas.width, pane.canvas.height);
      if (pictures[i]) context.drawImage(pictures[i], 0, 0, pane.canvas.width, pane.canvas.height);
      pane.node.classList.toggle("absent", !pictures[i]);
    });
    const mask = this.panes.findIndex((pane) => pane.name === this.over.value);
    if (mask > 0 && pictures[mask]) this.tint(this.panes[0].canvas, pictures[mask]);
    this.root.dataset.shown = index;
    this.panes.forEach((pane) => pane.frames.ahead(index, direction, 3));
  }

  /** Colours what a mask marks. */
  tint(canvas, mask) {
    const layer = make("canvas", { width: canvas.width, height: canvas.height }), context = layer.getContext("2d");
    context.drawImage(mask, 0, 0, layer.width, layer.height);
    const pixels = context.getImageData(0, 0, layer.width, layer.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const share = pixels.data[i];
      pixels.data.set([255, 70, 40, share * 0.55], i);
    }
    context.putImageData(pixels, 0, 0);
    canvas.getContext("2d").drawImage(layer, 0, 0);
  }
}

const facts = await attempt(() => get(`${base}/facts.json`));
if (facts) {
  const panes = new Panes(facts);
  document.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (typing() || document.activeElement?.matches("select") || !(event.key in steps)) return;
    event.preventDefault();
    const step = steps[event.key] * (event.shiftKey ? 10 : 1);
    panes.go(Number.isFinite(step) ? panes.index + step : step < 0 ? 0 : panes.count - 1);
  });
} else {
  place.replaceChildren(make("p", { class: "empty" }, "The clip cannot be shown."));
}

