// The timeline under a picture: scores of each face, gaps, marks, and the position, to click and drag.

import { draw, signed } from "./api.js";

const LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 26;

export class Timeline {
  /** `go` is called with the frame that was clicked. `facts`: count, rate, tracks, threshold, heat, bands. */
  constructor(facts, go) {
    this.facts = facts;
    this.marks = [];
    this.index = 0;
    this.node = draw("svg", { class: "timeline", role: "slider", tabindex: "0", "aria-label": "Timeline", "aria-valuemin": "0" });
    const seek = (event) => {
      const box = this.node.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / Math.max(1, box.width - LEFT - RIGHT);
      go(Math.round(Math.min(1, Math.max(0, share)) * (this.facts.count - 1)));
    };
    this.node.addEventListener("pointerdown", (event) => {
      this.node.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.node.addEventListener("pointermove", (event) => event.buttons & 1 && seek(event));
    new ResizeObserver(() => this.render()).observe(this.node);
  }

  x(frame) {
    return LEFT + (this.width - LEFT - RIGHT) * (this.facts.count > 1 ? frame / (this.facts.count - 1) : 0);
  }

  move(index) {
    this.index = index;
    this.node.setAttribute("aria-valuenow", index);
    this.node.setAttribute("aria-valuetext", `frame ${index}`);
    if (this.now && this.width) {
      this.now.setAttribute("x1", this.x(index));
      this.now.setAttribute("x2", this.x(index));
    }
  }

  range() {
    const values = this.facts.tracks.flatMap((track) => track.logits);
    if (this.facts.threshold !== null && this.facts.threshold !== undefined) values.push(this.facts.threshold);
    if (!values.length) return null;
    const low = Math.min(...values), high = Math.max(...values), margin = Math.max(0.5, (high - low) * 0.12);
    return [low - margin, high + margin];
  }

  render() {
    const box = this.node.getBoundingClientRect();
    if (!box.width) return;
    [this.width, this.height] = [box.width, box.height];
    this.node.setAttribute("aria-valuemax", this.facts.count - 1);
    this.node.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    const parts = [], range = this.range(), floor = box.height - BOTTOM;
    const y = (value) => TOP + (floor - TOP) * (range[1] - value) / (range[1] - range[0]);
    for (const band of this.facts.bands || []) {
      parts.push(draw("rect", { class: band.class, x: this.x(band.start), width: Math.max(2, this.x(band.stop) - this.x(band.start)), y: TOP, height: floor - TOP },
        draw("title", {}, band.title)));
    }
    if (range) {
      for (const value of ticks(range[0], range[1], 4)) {
        parts.push(draw("line", { class: "grid", x1: LEFT, x2: box.width - RIGHT, y1: y(value), y2: y(value) }));
        parts.push(draw("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value === 0 ? "0" : signed(value, Number.isInteger(value) ? 0 : 1)));
      }
      const limit = this.facts.threshold;
      if (limit !== null && limit !== undefined) {
        parts.push(draw("line", { class: "limit", x1: LEFT, x2: box.width - RIGHT, y1: y(limit), y2: y(limit) }));
        parts.push(draw("text", { x: box.width - RIGHT - 2, y: y(limit) - 4, "text-anchor": "end" }, `threshold ${signed(limit)}`));
      }
      for (const track of this.facts.tracks.filter((one) => !one.off)) parts.push(...this.line(track, y));
    }
    for (const [at, label] of this.times()) {
      parts.push(draw("text", { x: this.x(at), y: box.height - 8, "text-anchor": at === 0 ? "start" : "middle" }, label));
    }
    for (const one of this.facts.heat || []) {
      const x = this.x(one.frame);
      parts.push(draw("path", { class: "heat", d: `M${x} ${floor} l-4 7 h8 z` }, draw("title", {}, `heat map at frame ${one.frame}`)));
    }
    for (const one of this.marks) {
      parts.push(draw("circle", { class: "mark", cx: this.x(one.frame), cy: TOP - 4, r: 4 }, draw("title", {}, one.title)));
    }
    this.now = draw("line", { class: "now", y1: 2, y2: floor + 4 });
    this.node.replaceChildren(...parts, this.now);
    this.move(this.index);
  }

  line(track, y) {
    const class_ = `c${track.track % 6}`, steps = [];
    for (let i = 1; i < track.frames.length; i += 1) steps.push(track.frames[i] - track.frames[i - 1]);
    const usual = steps.sort((a, b) => a - b)[steps.length >> 1] || 1;
    let path = "", last = null;
    track.frames.forEach((frame, i) => {
      path += `${last !== null && frame - last <= 2.5 * usual ? "L" : "M"}${this.x(frame).toFixed(1)} ${y(track.logits[i]).toFixed(1)}`;
      last = frame;
    });
    const dots = track.frames.length > 400 ? [] : track.frames.map((frame, i) => draw("circle", { class: `dot ${class_}`, cx: this.x(frame).toFixed(1), cy: y(track.logits[i]).toFixed(1), r: 2.4 }));
    return [draw("path", { class: `line ${class_}`, d: path }), ...dots];
  }

  times() {
    const seconds = (this.facts.count - 1) / this.facts.rate;
    if (seconds <= 0) return [];
    return ticks(0, seconds, Math.max(2, Math.floor(this.width / 110))).filter((at) => at >= 0 && at <= seconds)
      .map((at) => [at * this.facts.rate, `${Number(at.toFixed(2))} s`]);
  }
}

/** Round values from `low` to `high`, about `number` of them. */
export function ticks(low, high, number) {
  const rough = (high - low) / Math.max(1, number), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) found.push(Number(value.toFixed(10)));
  return found;
}
