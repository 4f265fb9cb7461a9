// Landmarks by hand: draw a box, drag 68 points, save them for this frame, fill the frames between two.

import { attempt, draw, get, make, post, toast, typing } from "./api.js";
import { Frames } from "./frames.js";
import { icon } from "./player.js";
import { Timeline } from "./timeline.js";

const place = document.getElementById("landmarks"), base = `/landmarks/${place.dataset.clip}`;
const LINES = [[0, 16], [17, 21], [22, 26], [27, 30], [31, 35], [36, 41, true], [42, 47, true], [48, 59, true], [60, 67, true]];

class Editor {
  constructor(facts) {
    this.mean = facts.mean;
    this.saved = new Map(Object.entries(facts.faces).map(([frame, faces]) => [Number(frame), faces]));
    this.clip = facts.clip;
    this.count = Math.max(1, facts.clip.frames);
    this.index = 0;
    this.points = null;
    this.changed = false;
    this.frames = new Frames((index) => `${base}/frames/${index}.jpg`);
    this.frames.count = this.count;
    this.timeline = new Timeline({ count: this.count, rate: this.clip.rate, tracks: [], threshold: null, bands: [] }, (index) => this.go(index));
    this.timeline.node.classList.add("low");
    this.build();
    this.go(0);
  }

  build() {
    const { width, height } = this.clip;
    this.canvas = make("canvas", { width, height });
    this.overlay = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "edit" });
    this.picture = make("div", { class: "picture" }, this.canvas, this.overlay);
    this.stage = make("div", { class: "stage", tabindex: "0", role: "application", "aria-label": "Frame with 68 points" }, this.picture);
    const step = (name, title, amount) => make("button", { type: "button", title, "aria-label": title, onclick: () => this.go(this.index + amount) }, icon(name));
    const act = (label, title, work, main) => make("button", { type: "button", title, class: main ? "main" : false, onclick: work }, label);
    this.number = make("input", { type: "number", min: "0", value: "0", "aria-label": "Frame number", onchange: () => this.go(Number(this.number.value)) });
    this.told = make("span", { class: "soft" });
    this.fill = make("input", { type: "checkbox" });
    const bar = make("div", { class: "bar" }, make("span", { class: "group" }, step("back10", "Ten frames back", -10), step("back", "One frame back", -1), step("on", "One frame on", 1), step("on10", "Ten frames on", 10)), this.number, this.told,
      make("span", { class: "spread" }), act("Copy from before", "The points of the nearest earlier frame", () => this.copy()), act("Clear", "No face in this frame", () => this.clear()),
      make("label", { class: "check", title: "The frames between the last one that is set and this one are filled" }, this.fill, "fill since the one before"), act("Save", "Save the points of this frame (Enter)", () => this.save(), true));
    place.replaceChildren(make("div", { class: "player", "data-editor": "" }, this.stage, bar, this.timeline.node,
      make("p", { class: "small" }, "Drag over the face to place all points in a box. Drag a point to move it; with Shift, all of them. Arrow keys step; Enter saves.")));
    this.overlay.addEventListener("pointerdown", (event) => this.down(event));
    this.overlay.addEventListener("pointermove", (event) => this.move(event));
    this.overlay.addEventListener("pointerup", () => this.up());
    document.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.stage);
  }

  resize() {
    const { width, height } = this.clip, box = this.stage.getBoundingClientRect();
    const scale = Math.min(box.width / width, Math.max(240, window.innerHeight - 330) / height, 4);
    this.canvas.style.width = `${Math.round(width * scale)}px`;
    this.canvas.style.height = `${Math.round(height * scale)}px`;
  }

  async go(wanted) {
    const index = Math.min(this.count - 1, Math.max(0, Math.round(wanted) || 0));
    if (this.changed && index !== this.index) toast("The points of the frame before were not saved.");
    this.index = index;
    this.number.value = index;
    this.timeline.move(index);
    const faces = this.saved.get(index) || [];
    this.points = faces.length ? faces[0].map((pair) => [...pair]) : null;
    this.changed = false;
    this.paint();
    const picture = await this.frames.get(index).catch(() => null);
    if (!picture || this.index !== index) return;
    this.canvas.getContext("2d").drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    place.firstElementChild.dataset.shown = index;
    this.frames.ahead(index, 1, 3);
  }

  /** Position of a pointer in frame pixels, pixel centres at whole numbers. */
  at(event) {
    const box = this.overlay.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * this.clip.width - 0.5, (event.clientY - box.top) / box.height * this.clip.height - 0.5];
  }

  down(event) {
    event.preventDefault();
    this.overlay.setPointerCapture(event.pointerId);
    const [x, y] = this.at(event), reach = 14 * this.clip.width / this.overlay.getBoundingClientRect().width;
    let best = -1, least = reach;
    (this.points || []).forEach(([px, py], i) => { const far = Math.hypot(px - x, py - y); if (far < least) [best, least] = [i, far]; });
    if (this.points && event.shiftKey) this.drag = { all: true, last: [x, y] };
    else if (best >= 0) this.drag = { point: best };
    else if (!this.points) this.drag = { from: [x, y] };
  }

  move(event) {
    if (!this.drag) return;
    const [x, y] = this.at(event);
    if (this.drag.from) {
      const [x0, y0] = this.drag.from, side = Math.max(4, Math.abs(x - x0), Math.abs(y - y0));
      const left = x < x0 ? x0 - side : x0, top = y < y0 ? y0 - side : y0;
      this.points = this.mean.map(([u, v]) => [left + u * side, top + v * side]);
    } else if (this.drag.all) {
      const [dx, dy] = [x - this.drag.last[0], y - this.drag.last[1]];
      this.points = this.points.map(([px, py]) => [px + dx, py + dy]);
      this.drag.last = [x, y];
    } else this.points[this.drag.point] = [x, y];
    this.changed = true;
    this.paint();
  }

  up() {
    this.drag = null;
  }

  copy() {
    const before = [...this.saved.keys()].filter((frame) => frame < this.index && this.saved.get(frame).length).sort((a, b) => b - a)[0];
    if (before === undefined) { toast("No earlier frame has points."); return; }
    this.points = this.saved.get(before)[0].map((pair) => [...pair]);
    this.changed = true;
    this.paint();
  }

  clear() {
    this.points = null;
    this.changed = true;
    this.paint();
  }

  async save() {
    const before = [...this.saved.keys()].filter((frame) => frame < this.index && this.saved.get(frame).length === 1).sort((a, b) => b - a)[0];
    const index = this.index, fill = this.fill.checked && this.points && before !== undefined;
    const answer = await attempt(() => post(`${base}/save`, { frame: index, points: this.points, since: fill ? before : null }));
    if (!answer) return;
    const found = await attempt(() => get(`${base}/facts.json`));
    if (found) this.saved = new Map(Object.entries(found.faces).map(([frame, faces]) => [Number(frame), faces]));
    this.changed = false;
    this.paint();
    toast(`${answer.frames.length} ${answer.frames.length === 1 ? "frame" : "frames"} set.`);
  }

  paint() {
    const group = draw("g", { transform: "translate(0.5 0.5)" }), radius = Math.max(1.5, this.clip.width / 220);
    if (this.points) {
      for (const [first, last, closed] of LINES) {
        const part = this.points.slice(first, last + 1).map((pair) => pair.map((value) => value.toFixed(2)).join(" "));
        group.append(draw("path", { class: "shape", d: `M${part.join("L")}${closed ? "Z" : ""}` }));
      }
      this.points.forEach(([x, y], i) => group.append(draw("circle", { class: "point c0", cx: x, cy: y, r: radius }, draw("title", {}, String(i)))));
    }
    this.overlay.replaceChildren(group);
    const others = (this.saved.get(this.index) || []).length;
    this.told.textContent = this.changed ? "not saved" : this.points ? `saved${others > 1 ? `; ${others} faces, saving keeps one` : ""}` : "no points";
    const frames = [...this.saved.keys()].filter((frame) => this.saved.get(frame).length).sort((a, b) => a - b), bands = [];
    for (const frame of frames) {
      if (bands.length && bands.at(-1).stop === frame - 1) bands.at(-1).stop = frame;
      else bands.push({ class: "set", start: frame, stop: frame, title: "points are set" });
    }
    this.timeline.facts.bands = bands;
    this.timeline.render();
  }

  key(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    if (typing() || document.activeElement?.matches("button, a")) return;
    if (event.key in steps) this.go(this.index + steps[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Enter") this.save();
    else return;
    event.preventDefault();
  }
}

const facts = await attempt(() => get(`${base}/facts.json`));
if (facts) new Editor(facts);
