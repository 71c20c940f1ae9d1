// The piano roll: dark is loud, pale is what the pedal holds.

import { minutes, pitchName } from "./dom.js";
import { LEFT, css, pen, ticks } from "./axes.js";

const BOTTOM = 4;

// canvas: to draw on; notes: columns as the server gives them; seconds: of the whole.
export function draw(canvas, notes, seconds) {
  const drawn = pen(canvas);
  if (!drawn) return;
  const { context, width, height } = drawn;
  const { low, high } = range(notes);
  const row = (height - BOTTOM) / (high - low + 1);
  const x = (secs) => LEFT + secs / seconds * width;
  const y = (pitch) => (high - pitch) * row;
  context.strokeStyle = css("--grid");
  context.fillStyle = css("--quiet");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let pitch = Math.ceil(low / 12) * 12; pitch <= high; pitch += 12) {
    const line = y(pitch) + row;
    context.strokeRect(LEFT, line, width, 0);
    context.fillText(pitchName(pitch), LEFT - 6, line - row / 2);
  }
  for (const secs of ticks(seconds, width)) context.strokeRect(x(secs), 0, 0, height);
  context.fillStyle = css("--accent");
  const { pitch, onset, release, damped, velocity } = notes;
  for (let i = 0; i < pitch.length; i++) {
    const bar = (end, alpha, margin) => {
      context.globalAlpha = alpha;
      context.fillRect(x(onset[i]), y(pitch[i]) + margin * row,
        Math.max(1, x(end) - x(onset[i])), Math.max(1, row * (1 - 2 * margin)));
    };
    bar(damped[i], 0.16, 0.2);
    bar(Math.min(release[i], damped[i]), 0.3 + 0.7 * velocity[i], 0.08);
  }
}

export function about(notes, seconds) {
  const { low, high } = range(notes);
  return `${notes.pitch.length} notes, ${pitchName(low + 2)} to ${pitchName(high - 2)}, ` +
    minutes(seconds);
}

const range = (notes) => ({ low: Math.min(...notes.pitch) - 2, high: Math.max(...notes.pitch) + 2 });
