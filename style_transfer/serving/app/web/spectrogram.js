// A picture of the server's with axes around it.

import { element, minutes } from "./dom.js";
import { ticks } from "./roll.js";

const LOWEST_HZ = 40;
const LONGEST_SECS = 60;
const FREQUENCIES = [[100, "100"], [1000, "1 k"], [10000, "10 k"]];

export function show(figure, title, source, seconds, highestHz) {
  const shown = Math.min(seconds, LONGEST_SECS);
  const image = element("img", { src: source,
    alt: `Spectrogram of ${title}, ${Math.round(shown)} s, 40 Hz to ${highestHz / 1000} kHz` });
  const frame = element("div", { class: "spectrogram" }, image);
  const height = 170;
  for (const [hz, text] of FREQUENCIES.filter(([hz]) => hz < highestHz)) {
    const tick = element("span", { class: "tick y", "aria-hidden": "true" }, text);
    tick.style.top = `${height * (1 - Math.log(hz / LOWEST_HZ) / Math.log(highestHz / LOWEST_HZ))}px`;
    frame.append(tick);
  }
  for (const secs of ticks(shown, 400)) {
    const place = secs > 0.96 * shown ? "tick x last" : "tick x";
    const tick = element("span", { class: place, "aria-hidden": "true" }, minutes(secs));
    tick.style.left = `${100 * secs / shown}%`;
    frame.append(tick);
  }
  figure.hidden = false;
  figure.replaceChildren(element("figcaption", {}, `Spectrogram: ${title} `,
    element("span", { class: "quiet" }, "Hz, bright: loud")), frame);
}
