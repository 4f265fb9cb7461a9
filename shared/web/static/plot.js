// Line charts of metrics by step.

import { draw, make } from "./api.js";
import { ticks } from "./timeline.js";

const LEFT = 54, RIGHT = 10, TOP = 10, BOTTOM = 22;

export class Chart {
  /** `read` is called with step and value under the pointer, or null. */
  constructor(title, read) {
    this.lines = [];
    this.read = read;
    this.node = draw("svg", { class: "chart", role: "img", "aria-label": title });
    this.legend = make("div", { class: "legend" });
    this.root = make("figure", { class: "card plot" }, make("figcaption", {}, title), this.legend, this.node);
    this.node.addEventListener("pointermove", (event) => this.point(event));
    this.node.addEventListener("pointerleave", () => { this.cursor?.remove(); this.read(null); });
    new ResizeObserver(() => this.render()).observe(this.node);
  }

  /** `lines`: [{name, steps, values}]. */
  set(lines, options) {
    Object.assign(this, { lines, options });
    this.legend.replaceChildren(...(lines.length > 1 ? lines.map((line, i) => make("span", {}, make("span", { class: `swatch c${i % 6}` }), line.name)) : []));
    this.render();
  }

  render() {
    const box = this.node.getBoundingClientRect();
    if (!box.width || !this.lines.length) return;
    const log = this.options.log && this.lines.every((line) => line.values.every((value) => value > 0));
    const scale = log ? Math.log10 : (value) => value;
    const shown = this.lines.map((line) => (this.options.smooth ? { ...line, values: smoothed(line.values) } : line));
    const steps = shown.flatMap((line) => [line.steps[0], line.steps.at(-1)]);
    const values = shown.flatMap((line) => line.values).map(scale);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const margin = (high - low) * 0.06, first = Math.min(...steps), last = Math.max(...steps, first + 1);
    [low, high] = [low - margin, high + margin];
    const x = (step) => LEFT + (box.width - LEFT - RIGHT) * (step - first) / (last - first);
    const y = (value) => TOP + (box.height - TOP - BOTTOM) * (high - scale(value)) / (high - low);
    Object.assign(this, { x, y, box, span: [first, last], shown });
    this.node.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    const parts = [];
    for (const tick of ticks(low, high, 4)) {
      const at = TOP + (box.height - TOP - BOTTOM) * (high - tick) / (high - low);
      parts.push(draw("line", { class: "grid", x1: LEFT, x2: box.width - RIGHT, y1: at, y2: at }));
      parts.push(draw("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, short(log ? 10 ** tick : tick)));
    }
    for (const tick of ticks(first, last, Math.max(2, box.width / 120))) {
      if (tick >= first && tick <= last) parts.push(draw("text", { x: x(tick), y: box.height - 5, "text-anchor": "middle" }, short(tick)));
    }
    shown.forEach((line, i) => {
      if (this.options.smooth) parts.push(draw("path", { class: `line faint c${i % 6}`, d: path(this.lines[i], x, y) }));
      parts.push(draw("path", { class: `line c${i % 6}`, d: path(line, x, y) }));
      if (line.steps.length === 1) parts.push(draw("circle", { class: `dot c${i % 6}`, cx: x(line.steps[0]), cy: y(line.values[0]), r: 3 }));
    });
    this.node.replaceChildren(...parts);
  }

  point(event) {
    if (!this.x) return;
    const at = event.clientX - this.box.left, box = this.node.getBoundingClientRect();
    const step = this.span[0] + (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * (this.span[1] - this.span[0]);
    const found = this.lines.map((line) => {
      let best = 0;
      line.steps.forEach((one, i) => { if (Math.abs(one - step) < Math.abs(line.steps[best] - step)) best = i; });
      return `${line.name} ${short(line.values[best])}`;
    });
    this.cursor?.remove();
    this.cursor = draw("line", { class: "now", x1: at, x2: at, y1: TOP, y2: box.height - BOTTOM });
    this.node.append(this.cursor);
    this.read(`step ${Math.max(0, Math.round(step))}: ${found.join(", ")}`);
  }
}

function path(line, x, y) {
  return line.steps.map((step, i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(line.values[i]).toFixed(1)}`).join("");
}

function smoothed(values) {
  let mean = values[0];
  const keep = Math.min(0.9, 1 - 4 / Math.max(4, values.length));
  return values.map((value) => { mean = keep * mean + (1 - keep) * value; return mean; });
}

export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return size !== 0 && size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
