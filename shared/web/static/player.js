// A frame-exact player: the server decodes frames by index, this page steps through them and draws over them.

import { draw, get, make, signed, typing } from "./api.js";
import { Frames } from "./frames.js";
import { Timeline } from "./timeline.js";

const LAYERS = [["boxes", "Boxes", "B"], ["scores", "Scores", "S"], ["landmarks", "Landmarks", "L"], ["region", "Region", "R"]];

const ICONS = { back10: "M11 3 5 8l6 5zM5 3 -1 8l6 5z", back: "M12 3 6 8l6 5zM4 3h2v10H4z", play: "M4 2.5 13 8l-9 5.5z", pause: "M4 3h3v10H4zM9 3h3v10H9z", on: "M4 3l6 5-6 5zM10 3h2v10h-2z", on10: "M5 3l6 5-6 5zM11 3l6 5-6 5z" };

export function icon(name) {
  return draw("svg", { class: "icon", viewBox: "-1 0 18 16", width: 17, height: 15, "aria-hidden": "true" }, draw("path", { d: ICONS[name] }));
}

export class Player {
  /**
   * @param {HTMLElement} place receives the player
   * @param {string} base address of the case
   * @param {object} facts of its clip: tracks, threshold, heat, clip
   * @param {{compact?: boolean}} options
   */
  constructor(place, base, facts, options = {}) {
    this.base = base;
    this.tracks = facts.tracks;
    this.heat = facts.regions ? [] : facts.heat || [];
    this.clip = facts.clip;
    this.compact = Boolean(options.compact);
    this.index = 0;
    this.direction = 1;
    this.zoom = "fit";
    this.on = { boxes: true, scores: true, landmarks: false, region: false };
    this.faces = new Map();
    this.listeners = [];
    this.frames = new Frames((index) => `${base}/frames/${index}.jpg`);
    this.count = Math.max(1, facts.frames_read || 1, this.clip.frames);
    this.frames.count = this.count;
    this.timeline = new Timeline({ count: this.count, rate: this.clip.rate, tracks: this.tracks, threshold: facts.threshold, heat: this.heat }, (index) => this.go(index));
    this.build(place, options, facts);
    this.watch();
    this.go(0);
  }

  build(place, options, facts) {
    const { width, height } = this.clip;
    this.canvas = make("canvas", { width, height });
    this.overlay = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    this.picture = make("div", { class: "picture" }, this.canvas, this.overlay);
    this.busy = make("span", { class: "busy", hidden: true }, "decoding…");
    this.stage = make("div", { class: "stage fit", tabindex: "0", role: "img", "aria-label": "Frame 0" }, this.picture, this.busy);
    const step = (name, title, amount) => make("button", { type: "button", title, "aria-label": title, onclick: () => this.step(amount) }, icon(name));
    this.playing = make("button", { type: "button", title: "Play (Space)", "aria-label": "Play", onclick: () => this.play() }, icon("play"));
    this.number = make("input", { type: "number", min: "0", value: "0", "aria-label": "Frame number", onchange: () => this.go(Number(this.number.value)) });
    this.time = make("span", { class: "time" });
    this.layers = LAYERS.map(([name, label, key]) => make("button", { type: "button", "aria-pressed": String(this.on[name]), title: `${label} on or off (${key})`, "data-layer": name, onclick: () => this.toggle(name) }, label));
    this.zooms = make("select", { "aria-label": "Size", onchange: () => this.resize(this.zooms.value) },
      ...[["fit", "Fit"], ["1", "100 %"], ["2", "200 %"], ["4", "400 %"]].map(([value, label]) => make("option", { value }, label)));
    this.save = make("a", { class: "button", title: "This frame without loss, as PNG" }, "PNG");
    const bar = make("div", { class: "bar" },
      make("span", { class: "group" }, step("back10", "Ten frames back (Shift+Left)", -10), step("back", "One frame back (Left)", -1), this.playing, step("on", "One frame on (Right)", 1), step("on10", "Ten frames on (Shift+Right)", 10)),
      this.number, this.time, make("span", { class: "spread" }), make("span", { class: "group" }, ...this.layers), this.zooms, this.save);
    const keys = make("p", { class: "keys" }, ...["←", " ", "→", " a frame, ", "Shift", " ten, ", "PgUp", " ", "PgDn", " scored frames, ", "Home", " ", "End", ", ", "Space", " play, ", "B", " ", "S", " ", "L", " ", "R", " layers. Dashed: between scored frames. Dotted: the crop that was scored" + (facts.regions ? ", red in it: what the detector marks as forged." : ". Triangles: frames with a heat map.")]
      .map((text, i) => (i % 2 === 0 ? make("kbd", {}, text) : text)));
    this.root = make("div", { class: "player" }, this.stage, bar, this.timeline.node, options.compact ? null : keys);
    place.replaceChildren(this.root);
    if (this.clip.still) this.timeline.node.setAttribute("hidden", "");
    new ResizeObserver(() => this.resize(this.zoom)).observe(this.stage);
    window.addEventListener("resize", () => this.resize(this.zoom));
  }

  /** Asks how much of the file is indexed, until all of it is. */
  async watch() {
    while (!this.clip.whole && !this.clip.why) {
      await new Promise((done) => setTimeout(done, 700));
      try { this.clip = await get(`${this.base}/state.json`); } catch { return; }
      if (this.clip.whole || this.clip.frames > this.count) this.setCount(this.clip.frames);
    }
    if (this.clip.whole) this.setCount(this.clip.frames);
  }

  setCount(count) {
    if (count < 1 || count === this.count) return;
    this.count = this.frames.count = this.timeline.facts.count = count;
    this.timeline.render();
    if (this.index >= count) this.go(count - 1);
  }

  step(amount) {
    this.go(this.index + amount);
  }

  /** Shows a frame; of several that are asked for in haste only the last one. */
  async go(wanted) {
    const index = Math.min(this.count - 1, Math.max(0, Math.round(Number(wanted)) || 0));
    this.direction = index < this.index ? -1 : 1;
    this.index = index;
    this.number.value = index;
    this.timeline.move(index);
    const began = performance.now();
    const waiting = setTimeout(() => this.busy.removeAttribute("hidden"), 150);
    try {
      const [picture] = await Promise.all([this.frames.get(index), this.needed(index)]);
      if (this.index !== index) return;
      this.show(picture, index, performance.now() - began);
      this.frames.ahead(index, this.direction);
    } catch {
      if (this.index === index) this.stage.setAttribute("aria-label", `Frame ${index} cannot be decoded`);
    } finally {
      clearTimeout(waiting);
      if (this.index === index) this.busy.setAttribute("hidden", "");
    }
  }

  show(picture, index, ms) {
    this.canvas.getContext("2d").drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    this.stage.setAttribute("aria-label", `Frame ${index}`);
    this.root.dataset.shown = index;
    this.root.dataset.ms = ms.toFixed(1);
    this.time.textContent = `${(index / this.clip.rate).toFixed(3)} s`;
    this.save.href = `${this.base}/frames/${index}.png`;
    this.save.setAttribute("download", `frame-${index}.png`);
    this.paint();
    this.listeners.forEach((told) => told(index));
  }

  /** The faces of a frame with landmarks, if a layer shows them. */
  async needed(index) {
    const scored = this.tracks.some((track) => track.frames.includes(index));
    if (!scored || !(this.on.landmarks || this.on.region) || this.faces.has(index)) return;
    this.faces.set(index, (await get(`${this.base}/faces/${index}.json`)).faces);
    if (this.faces.size > 200) this.faces.delete(this.faces.keys().next().value);
  }

  toggle(name) {
    this.on[name] = !this.on[name];
    this.layers.find((button) => button.dataset.layer === name).setAttribute("aria-pressed", String(this.on[name]));
    this.needed(this.index).then(() => this.paint(), () => this.paint());
  }

  paint() {
    const group = draw("g", { transform: "translate(0.5 0.5)" }), size = 13 / (this.scale || 1);
    const shown = new Set(this.tracks.filter((one) => !one.off).map((one) => one.track));
    const faces = (this.faces.get(this.index) || []).filter((one) => shown.has(one.track));
    if (this.on.region) faces.forEach((face) => group.append(...this.region(face)));
    for (const track of this.tracks.filter((one) => !one.off)) {
      const found = boxAt(track, this.index);
      if (!found) continue;
      const [x0, y0, x1, y1] = found.box, class_ = `c${track.track % 6}`;
      if (this.on.boxes) group.append(draw("rect", { class: `box ${class_}${found.exact ? "" : " between"}`, x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
      if (this.on.scores && found.exact) group.append(draw("text", { class: "label", x: x0, y: Math.max(size, y0 - size * 0.4), "font-size": size, "stroke-width": size / 5 }, `face ${track.track}  ${signed(found.logit)}`));
    }
    if (this.on.landmarks) {
      const r = 2.2 / (this.scale || 1);
      faces.forEach((face) => face.landmarks.forEach(([x, y]) => group.append(draw("circle", { class: `point c${face.track % 6}`, cx: x, cy: y, r }))));
    }
    this.overlay.replaceChildren(group);
  }

  region(face) {
    if (!face.crop) return [];
    const { px, matrix } = face.crop, inner = [];
    const picture = face.region ? `regions/${this.index}/${face.track}.png` : face.heat ? `evidence/${face.heat}` : null;
    if (picture) inner.push(draw("image", { class: face.region ? "region" : "heat", href: `${this.base}/${picture}`, x: -0.5, y: -0.5, width: px, height: px, preserveAspectRatio: "none" }));
    inner.push(draw("rect", { class: "crop", x: -0.5, y: -0.5, width: px, height: px }));
    return [draw("g", { transform: `matrix(${matrix.join(" ")})` }, ...inner)];
  }

  resize(zoom) {
    this.zoom = zoom;
    const { width, height } = this.clip, box = this.stage.getBoundingClientRect();
    const room = Math.max(220, Math.min(window.innerHeight - (window.innerWidth < 640 ? 330 : this.compact ? 500 : 425), 1400));
    const scale = zoom === "fit" ? Math.min(box.width / width, room / height, 3) : Number(zoom) / (window.devicePixelRatio || 1);
    this.canvas.style.width = `${Math.round(width * scale)}px`;
    this.canvas.style.height = `${Math.round(height * scale)}px`;
    this.scale = scale;
    if (this.root) this.paint();
    this.picture.classList.toggle("sharp", zoom !== "fit" && Number(zoom) > 1);
  }

  async play() {
    this.running = !this.running;
    this.playing.replaceChildren(icon(this.running ? "pause" : "play"));
    while (this.running) {
      const began = performance.now();
      await this.go(this.index + 1);
      if (this.index >= this.count - 1) { this.running = false; break; }
      await new Promise((done) => setTimeout(done, Math.max(0, 1000 / this.clip.rate - (performance.now() - began))));
    }
    this.playing.replaceChildren(icon("play"));
  }

  /** Goes to the next scored frame in a direction. */
  scored(direction) {
    const frames = this.tracks.filter((one) => !one.off).flatMap((track) => track.frames).sort((a, b) => a - b);
    const next = direction > 0 ? frames.find((frame) => frame > this.index) : frames.findLast((frame) => frame < this.index);
    if (next !== undefined) this.go(next);
  }

  /** Handles a key; whether it was one of the player's. */
  key(event) {
    if (typing() || event.ctrlKey || event.metaKey || event.altKey) return false;
    const actions = {
      ArrowRight: () => this.step(event.shiftKey ? 10 : 1), ArrowLeft: () => this.step(event.shiftKey ? -10 : -1),
      Home: () => this.go(0), End: () => this.go(this.count - 1), PageDown: () => this.scored(1), PageUp: () => this.scored(-1),
      b: () => this.toggle("boxes"), s: () => this.toggle("scores"), l: () => this.toggle("landmarks"), r: () => this.toggle("region"),
    };
    if (!document.activeElement || !document.activeElement.matches("button, a, select, summary")) actions[" "] = () => this.play();
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || (document.activeElement && document.activeElement.matches("select, [role=tab]") && event.key.startsWith("Arrow"))) return false;
    event.preventDefault();
    action();
    return true;
  }
}

/** The box of a track in a frame: scored there, or between two scored frames that are near each other. */
export function boxAt(track, index) {
  const { frames, boxes, logits } = track;
  let low = 0, high = frames.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (frames[middle] === index) return { box: boxes[middle], logit: logits[middle], exact: true };
    if (frames[middle] < index) low = middle + 1; else high = middle - 1;
  }
  const before = high, after = low;
  if (before < 0 || after >= frames.length || frames[after] - frames[before] > 12) return null;
  const share = (index - frames[before]) / (frames[after] - frames[before]);
  return { box: boxes[before].map((value, i) => value + share * (boxes[after][i] - value)), exact: false };
}
