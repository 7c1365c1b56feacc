/* A minute of figures, or what there is of it, moving: CPU and memory in percent above, network traffic below. */

import { bytes } from "./units.js";

const SECONDS = 60;
const FIRST_SECONDS = 10;
const MARGIN = { left: 60, right: 6, top: 8, bottom: 18, between: 14 };

export class Plot {
  #canvas;
  #samples = [];
  #breaks = [];

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  add(sample) {
    this.#samples.push(sample);
    const oldest = sample.time - SECONDS - 5;
    while (this.#samples[0].time < oldest) this.#samples.shift();
    while (this.#breaks[0] < oldest) this.#breaks.shift();
  }

  /** Mark the moment when the connection was lost. */
  break() {
    this.#breaks.push(Date.now() / 1000);
  }

  clear() {
    this.#samples = [];
    this.#breaks = [];
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = window.devicePixelRatio;
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== pixels[0]) this.#canvas.width = pixels[0];
    if (this.#canvas.height !== pixels[1]) this.#canvas.height = pixels[1];
    const context = this.#canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    context.font = `11px ${style.fontFamily}`;

    const right = width - MARGIN.right;
    const split = MARGIN.top + (height - MARGIN.top - MARGIN.bottom - MARGIN.between) * 0.62;
    const percent = { top: MARGIN.top, bottom: split };
    const traffic = { top: split + MARGIN.between, bottom: height - MARGIN.bottom };
    const now = Date.now() / 1000;
    const age = now - (this.#samples[0]?.time ?? now);
    // In the first minute it shows less of it, and not a plot that is empty on the left.
    const span = Math.min(SECONDS, Math.max(FIRST_SECONDS, age));
    const x = (time) => right - ((now - time) / span) * (right - MARGIN.left);
    const peak = nice(Math.max(10_000, ...this.#samples.map((s) => Math.max(s.received, s.sent))));

    context.textBaseline = "middle";
    context.textAlign = "right";
    const grid = (y, label) => {
      context.strokeStyle = colour("grid");
      line(context, [[MARGIN.left, y], [right, y]]);
      context.fillStyle = colour("muted");
      context.fillText(label, MARGIN.left - 6, y);
    };
    for (const share of [0, 50, 100]) grid(scale(percent, share / 100), `${share}%`);
    grid(traffic.bottom, "0");
    grid(traffic.top, `${bytes(peak, 0)}/s`);

    context.textBaseline = "alphabetic";
    const step = span > 40 ? 15 : span > 20 ? 10 : 5;
    for (let ago = 0; ago <= span; ago += step) {
      context.textAlign = ago === 0 ? "right" : ago === SECONDS ? "left" : "center";
      context.fillText(ago ? `−${ago} s` : "now", x(now - ago), height - 4);
    }
    if (this.#samples.length === 0) {
      context.textAlign = "center";
      context.fillText("The first figures come in a moment.", (MARGIN.left + right) / 2, scale(percent, 0.7));
    }

    context.save();
    context.beginPath();
    context.rect(MARGIN.left, 0, right - MARGIN.left, height);
    context.clip();
    context.setLineDash([2, 3]);
    context.strokeStyle = colour("warning");
    for (const time of this.#breaks) line(context, [[x(time), percent.top], [x(time), traffic.bottom]]);

    const series = (band, name, top, { dashed, filled }) => {
      const points = this.#samples.map((s) => [x(s.time), scale(band, Math.min(1, s[name] / top))]);
      context.setLineDash(dashed ? [5, 3] : []);
      context.strokeStyle = context.fillStyle = colour(name);
      if (filled) area(context, points, band.bottom);
      context.lineWidth = 1.75;
      context.lineJoin = "round";
      line(context, points);
      context.lineWidth = 1;
    };
    series(percent, "cpu", 100, { filled: true });
    series(percent, "memory", 100, { dashed: true });
    series(traffic, "received", peak, { filled: true });
    series(traffic, "sent", peak, { dashed: true });
    context.restore();
  }
}

const scale = (band, share) => Math.round(band.bottom - share * (band.bottom - band.top)) + 0.5;

function line(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

function area(context, points, bottom) {
  if (points.length === 0) return;
  context.beginPath();
  context.moveTo(points[0][0], bottom);
  for (const [x, y] of points) context.lineTo(x, y);
  context.lineTo(points.at(-1)[0], bottom);
  context.globalAlpha = 0.15;
  context.fill();
  context.globalAlpha = 1;
}

/** The next of 1, 2, 5, 10, 20, … at or above `value`. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}
