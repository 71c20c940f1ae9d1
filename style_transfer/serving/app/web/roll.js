// The piano roll: dark is loud, pale is what the pedal holds.

import { $, minutes, pitchName } from "./dom.js";

const LEFT = 36;
const BOTTOM = 20;
const TICK_SECS = [1, 2, 5, 10, 20, 30, 60, 120];
const FEWEST_PIXELS = 70;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Roll {
  constructor(onSeek) {
    this.canvas = $("roll");
    this.playhead = this.canvas.parentElement.querySelector(".playhead");
    this.seconds = 0;
    this.canvas.addEventListener("click", (event) => {
      const secs = (event.offsetX - LEFT) / this.width * this.seconds;
      if (secs >= 0) onSeek(Math.min(secs, this.seconds));
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get width() {
    return this.canvas.clientWidth - LEFT;
  }

  show(notes, seconds) {
    this.notes = notes;
    this.seconds = seconds;
    this.low = Math.min(...notes.pitch) - 2;
    this.high = Math.max(...notes.pitch) + 2;
    const about = `${notes.pitch.length} notes, ${pitchName(this.low + 2)} to ` +
      `${pitchName(this.high - 2)}, ${minutes(seconds)}`;
    $("roll-about").textContent = `${about} · dark: loud, pale: held by the pedal`;
    this.canvas.setAttribute("aria-label", `Piano roll: ${about}`);
    this.draw();
  }

  draw() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!this.notes || !clientWidth) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = clientWidth * scale;
    this.canvas.height = clientHeight * scale;
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    context.font = "12px system-ui, sans-serif";
    const height = clientHeight - BOTTOM;
    const row = height / (this.high - this.low + 1);
    const x = (secs) => LEFT + secs / this.seconds * this.width;
    const y = (pitch) => (this.high - pitch) * row;
    this.axes(context, x, y, row, height);
    const { pitch, onset, release, damped, velocity } = this.notes;
    context.fillStyle = css("--accent");
    for (let i = 0; i < pitch.length; i++) {
      const bar = (end, alpha, margin) => {
        context.globalAlpha = alpha;
        context.fillRect(x(onset[i]), y(pitch[i]) + margin * row,
          Math.max(1, x(end) - x(onset[i])), Math.max(1, row * (1 - 2 * margin)));
      };
      bar(damped[i], 0.16, 0.2);
      bar(Math.min(release[i], damped[i]), 0.3 + 0.7 * velocity[i], 0.08);
    }
    context.globalAlpha = 1;
  }

  axes(context, x, y, row, height) {
    context.strokeStyle = css("--grid");
    context.fillStyle = css("--quiet");
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let pitch = Math.ceil(this.low / 12) * 12; pitch <= this.high; pitch += 12) {
      const line = y(pitch) + row;
      context.strokeRect(LEFT, line, this.width, 0);
      context.fillText(pitchName(pitch), LEFT - 6, line - row / 2);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const secs of ticks(this.seconds, this.width)) {
      context.strokeRect(x(secs), 0, 0, height);
      context.fillText(minutes(secs), Math.min(Math.max(x(secs), 14), LEFT + this.width - 14),
        height + 15);
    }
  }

  at(secs) {
    this.playhead.style.opacity = secs > 0 ? 1 : 0;
    const x = LEFT + Math.min(secs / this.seconds, 1) * this.width;
    this.playhead.style.transform = `translateX(${x}px)`;
  }
}

// Round times that leave room for their labels.
export function ticks(seconds, width) {
  const step = TICK_SECS.find((secs) => secs / seconds * width >= FEWEST_PIXELS) || 300;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
}
