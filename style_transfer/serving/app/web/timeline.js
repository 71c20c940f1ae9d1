// Waveform, notes and spectrogram of a result over one time axis, with one playhead.

import { $, element, minutes } from "./dom.js";
import { LEFT, css, pen } from "./axes.js";
import * as roll from "./roll.js";
import * as spectrogram from "./spectrogram.js";

const STEP_SECS = 1, PAGE_SECS = 10;

export class Timeline {
  // onSeek is called with seconds.
  constructor(onSeek) {
    this.result = null;
    this.secs = 0;
    this.onSeek = onSeek;
    this.playhead = $("timeline").querySelector(".playhead");
    for (const part of ["waveform", "roll", "spectrogram"]) {
      $(part).addEventListener("click", (event) => this.click(event));
    }
    $("roll").addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe($("roll"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // picture: address of the spectrogram.
  show(result, picture) {
    this.result = result;
    const about = roll.about(result.roll, result.seconds);
    $("roll-about").textContent = `${about} · strong: loud, pale: held by the pedal`;
    $("roll").setAttribute("aria-label", `Piano roll and place in the piece: ${about}`);
    $("roll").setAttribute("aria-valuemin", 0);
    $("roll").setAttribute("aria-valuemax", result.seconds);
    this.picture = picture;
    this.at(0);
    this.draw();
  }

  draw() {
    if (!this.result) return;
    const { result } = this;
    roll.draw($("roll"), result.roll, result.seconds);
    this.waveform();
    spectrogram.show($("spectrogram"), "the result", this.picture, result.seconds,
      result.highest_hz);
    this.at(this.secs);
  }

  waveform() {
    const drawn = pen($("waveform"));
    if (!drawn) return;
    const { context, width, height } = drawn;
    const { peaks } = this.result;
    const loudest = Math.max(...peaks, 1e-3);
    context.fillStyle = css("--accent");
    for (let x = 0; x < width; x++) {
      const from = Math.floor(x / width * peaks.length);
      const to = Math.max(from + 1, Math.floor((x + 1) / width * peaks.length));
      const half = Math.max(0.5, Math.max(...peaks.slice(from, to)) / loudest * (height / 2 - 2));
      context.fillRect(LEFT + x, height / 2 - half, 1, 2 * half);
    }
  }

  click(event) {
    const { left, width } = $("roll").getBoundingClientRect();
    const secs = (event.clientX - left - LEFT) / (width - LEFT) * this.result.seconds;
    if (secs >= 0) this.seek(secs);
  }

  key(event) {
    const moves = { ArrowLeft: -STEP_SECS, ArrowRight: STEP_SECS, ArrowDown: -STEP_SECS,
      ArrowUp: STEP_SECS, PageDown: -PAGE_SECS, PageUp: PAGE_SECS, Home: -Infinity,
      End: Infinity };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.seek(this.secs + moves[event.key]);
  }

  seek(secs) {
    this.at(Math.min(Math.max(secs, 0), this.result.seconds));
    this.onSeek(this.secs);
  }

  at(secs) {
    if (!this.result) return;
    this.secs = secs;
    const share = Math.min(secs / this.result.seconds, 1);
    this.playhead.style.left = `calc(${LEFT}px + ${share} * (100% - ${LEFT}px))`;
    $("roll").setAttribute("aria-valuenow", Math.round(secs));
    $("roll").setAttribute("aria-valuetext",
      `${minutes(secs)} of ${minutes(this.result.seconds)}`);
  }
}

// The clip's spectrogram, with a playhead of its own.
export class Clip {
  constructor(onSeek) {
    this.figure = $("style-spectrogram");
    this.onSeek = onSeek;
  }

  show(result, picture) {
    this.figure.hidden = !result.has_style_spectrogram;
    if (this.figure.hidden) return;
    this.seconds = Math.min(result.style_seconds, spectrogram.LONGEST_SECS);
    const frame = element("div", { class: "spectrogram" });
    this.playhead = element("div", { class: "playhead", "aria-hidden": "true" });
    this.figure.replaceChildren(element("figcaption", {}, "Spectrogram: the piano's recording ",
      element("span", { class: "quiet" }, "Hz, bright: loud")),
    element("div", { class: "scroll" }, frame, this.playhead));
    spectrogram.show(frame, "the piano's recording", picture, this.seconds,
      result.style_highest_hz);
    frame.addEventListener("click", (event) => {
      const { left, width } = frame.getBoundingClientRect();
      const share = (event.clientX - left) / width;
      if (share >= 0) this.onSeek(Math.min(share, 1) * this.seconds);
    });
    this.at(0);
  }

  at(secs) {
    if (this.figure.hidden) return;
    const share = Math.min(secs / this.seconds, 1);
    this.playhead.style.left = `calc(${LEFT}px + ${share} * (100% - ${LEFT}px))`;
    this.playhead.hidden = secs === 0;
  }
}
