// The estimated piano under the player's own fingers: computer keyboard, mouse, touch, MIDI.

import * as address from "./address.js";
import * as api from "./api.js";
import { $, element, pitchName, say } from "./dom.js";
import { follow } from "./progress.js";
import { Sampler } from "./sampler.js";

const LOWEST = 21, HIGHEST = 108;
const BLACK = new Set([1, 3, 6, 8, 10]);
const VELOCITY = 84;
// By place on the keyboard, whatever the letters on it.
const LOWER = ["KeyZ", "KeyS", "KeyX", "KeyD", "KeyC", "KeyV", "KeyG", "KeyB", "KeyH", "KeyN",
  "KeyJ", "KeyM", "Comma", "KeyL", "Period", "Semicolon", "Slash"];
const UPPER = ["KeyQ", "Digit2", "KeyW", "Digit3", "KeyE", "KeyR", "Digit5", "KeyT", "Digit6",
  "KeyY", "Digit7", "KeyU", "KeyI", "Digit9", "KeyO", "Digit0", "KeyP"];
const SUSTAIN_CC = 64;

const isBlack = (pitch) => BLACK.has(pitch % 12);

export class Live {
  // attempt: runs a job's work; fit: gives what the server is told of the piano.
  constructor(attempt, fit) {
    this.fit = fit;
    this.sampler = null;
    this.base = 48; // the pitch of the Z key
    this.pressed = new Map(); // computer key -> pitch
    $("live-start").addEventListener("click", () => attempt(() => this.begin()));
    $("sfz").addEventListener("click", () => attempt(() => this.download()));
    this.draw();
    this.listen();
  }

  refresh(busy) {
    $("live-start").disabled = $("sfz").disabled = busy;
  }

  forget() {
    if (this.sampler) this.sampler.allOff();
    this.sampler = null;
    $("live-board").hidden = true;
    $("live-about").textContent = "";
    address.change({ live: null });
  }

  async begin() {
    const { job } = await api.instrument(await this.fit());
    if (!(await follow(job))) return say("Cancelled");
    await this.open(job);
    $("progress").hidden = true;
    $("keys").focus({ preventScroll: true });
    $("live").scrollIntoView({ block: "nearest" });
    say("The piano can be played.");
  }

  // An instrument that was sampled before; if it is kept no longer the button makes a new one.
  restore(job) {
    this.open(job).catch(() => this.forget());
  }

  async open(job) {
    const response = await fetch(api.sample(job, "piano.sfz"));
    if (!response.ok) throw new Error("The instrument is no longer kept here. Begin again.");
    const sampler = new Sampler((name) => api.sample(job, name), await response.text());
    await sampler.load((share) => {
      $("live-about").textContent = `loading ${Math.round(100 * share)} %`;
    });
    $("live-about").textContent = "";
    this.sampler = sampler;
    $("live-board").hidden = false;
    address.change({ live: job });
    this.middle();
    await this.openMidi();
  }

  async download() {
    const { job } = await api.instrument({ ...(await this.fit()), full: true });
    if (!(await follow(job))) return say("Cancelled");
    element("a", { href: `${api.file(job, "sfz")}?download=1`, download: "" }).click();
  }

  on(pitch, velocity, event) {
    if (!this.sampler || pitch < LOWEST || pitch > HIGHEST) return;
    this.sampler.on(pitch, velocity);
    $(`key-${pitch}`).classList.add("down");
    // From the event to the moment the browser hands the sound over, and on to the loudspeaker.
    const handled = Math.max(0, performance.now() - event.timeStamp);
    this.latencyMs = handled + 1000 * this.sampler.latencySecs;
    $("latency").textContent = `${this.latencyMs.toFixed(1)} ms from key to loudspeaker, as the ` +
      "browser says";
  }

  off(pitch) {
    if (!this.sampler || pitch < LOWEST || pitch > HIGHEST) return;
    this.sampler.off(pitch);
    $(`key-${pitch}`).classList.remove("down");
  }

  pedal(down) {
    if (!this.sampler || down === this.sampler.isPedalDown) return;
    this.sampler.pedal(down);
    $("pedal").classList.toggle("on", down);
  }

  listen() {
    document.addEventListener("keydown", (event) => this.keyDown(event));
    document.addEventListener("keyup", (event) => {
      if (event.key === "Shift") this.pedal(false);
      this.lift(event.code);
    });
    addEventListener("blur", () => this.allOff());
    const board = $("keys");
    const pitchAt = (event) => {
      const key = document.elementFromPoint(event.clientX, event.clientY)?.closest(".key");
      return key ? Number(key.dataset.pitch) : null;
    };
    const move = (event) => {
      const pitch = pitchAt(event);
      if (pitch === this.pressed.get(event.pointerId)) return;
      this.lift(event.pointerId);
      if (pitch === null) return;
      const { top, height } = $(`key-${pitch}`).getBoundingClientRect();
      const depth = Math.min(Math.max((event.clientY - top) / height, 0), 1);
      this.pressed.set(event.pointerId, pitch);
      this.on(pitch, Math.round(30 + 90 * depth), event);
    };
    board.addEventListener("pointerdown", move);
    board.addEventListener("pointermove", (event) => {
      if (event.buttons && this.pressed.has(event.pointerId)) move(event);
    });
    for (const kind of ["pointerup", "pointercancel", "pointerleave"]) {
      board.addEventListener(kind, (event) => this.lift(event.pointerId));
    }
  }

  keyDown(event) {
    const writes = "input:not([type=range]):not([type=radio]):not([type=checkbox]), select";
    if (!this.sampler || event.repeat || event.ctrlKey || event.altKey || event.metaKey ||
        event.target.closest(writes)) return;
    if (event.key === "Shift") return this.pedal(true);
    if (event.target === $("keys") && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      const base = this.base + (event.key === "ArrowUp" ? 12 : -12);
      this.base = Math.min(Math.max(base, 24), 72);
      return this.middle();
    }
    const lower = LOWER.indexOf(event.code), upper = UPPER.indexOf(event.code);
    if (lower < 0 && upper < 0) return;
    const pitch = this.base + (lower >= 0 ? lower : 12 + upper);
    event.preventDefault();
    this.lift(event.code);
    this.pressed.set(event.code, pitch);
    this.on(pitch, VELOCITY, event);
  }

  lift(key) {
    if (!this.pressed.has(key)) return;
    this.off(this.pressed.get(key));
    this.pressed.delete(key);
  }

  allOff() {
    for (const key of [...this.pressed.keys()]) this.lift(key);
    this.pedal(false);
  }

  async openMidi() {
    if (!navigator.requestMIDIAccess) {
      $("midi").textContent = "This browser has no Web MIDI.";
      return;
    }
    try {
      const access = await navigator.requestMIDIAccess();
      const connect = () => {
        const inputs = [...access.inputs.values()];
        for (const input of inputs) input.onmidimessage = (event) => this.message(event);
        $("midi").textContent = inputs.length
          ? `MIDI: ${inputs.map((input) => input.name).join(", ")}` : "MIDI: no keyboard connected";
      };
      access.onstatechange = connect;
      connect();
    } catch {
      $("midi").textContent = "MIDI: not allowed";
    }
  }

  message(event) {
    const [status, first, second] = event.data;
    const kind = status & 0xf0;
    if (kind === 0x90 && second > 0) this.on(first, second, event);
    else if (kind === 0x80 || kind === 0x90) this.off(first);
    else if (kind === 0xb0 && first === SUSTAIN_CC) this.pedal(second >= 64);
  }

  draw() {
    const board = element("div", { class: "board" });
    let whites = 0;
    for (let pitch = LOWEST; pitch <= HIGHEST; pitch++) {
      const key = element("div", { id: `key-${pitch}`, "data-pitch": pitch,
        class: isBlack(pitch) ? "key black" : "key" });
      key.style.setProperty("--place", isBlack(pitch) ? whites : whites++);
      if (pitch % 12 === 0) key.append(element("span", {}, pitchName(pitch)));
      board.append(key);
    }
    $("keys").replaceChildren(board);
  }

  // Says and shows where the computer's keys are.
  middle() {
    const name = `${pitchName(this.base)} to ${pitchName(this.base + 12 + UPPER.length - 1)}`;
    $("keys").setAttribute("aria-label", `Keyboard: the computer's keys play ${name}`);
    for (const key of $("keys").querySelectorAll(".key")) {
      const place = Number(key.dataset.pitch) - this.base;
      key.classList.toggle("reached", place >= 0 && place < 12 + UPPER.length);
    }
    const { offsetLeft } = $(`key-${this.base}`);
    $("keys").scrollLeft = offsetLeft - 40;
  }
}
