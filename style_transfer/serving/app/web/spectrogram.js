// A picture of the server's with axes around it.

import { element, minutes } from "./dom.js";
import { LEFT, ticks } from "./axes.js";

const LOWEST_HZ = 40;
export const LONGEST_SECS = 60; // of a clip; results are shown whole
const HEIGHT = 170;
const FREQUENCIES = [[100, "100"], [1000, "1 k"], [10000, "10 k"]];

// frame: an element of the class "spectrogram".
export function show(frame, title, source, seconds, highestHz) {
  const image = element("img", { src: source,
    alt: `Spectrogram of ${title}, ${Math.round(seconds)} s, 40 Hz to ${highestHz / 1000} kHz` });
  frame.replaceChildren(image);
  for (const [hz, text] of FREQUENCIES.filter(([hz]) => hz < highestHz)) {
    const tick = element("span", { class: "tick y", "aria-hidden": "true" }, text);
    tick.style.top = `${HEIGHT * (1 - Math.log(hz / LOWEST_HZ) / Math.log(highestHz / LOWEST_HZ))}px`;
    frame.append(tick);
  }
  for (const secs of ticks(seconds, (frame.clientWidth || 400 + LEFT) - LEFT)) {
    const place = secs > 0.96 * seconds ? "tick x last" : "tick x";
    const tick = element("span", { class: place, "aria-hidden": "true" }, minutes(secs));
    tick.style.left = `${100 * secs / seconds}%`;
    frame.append(tick);
  }
}
