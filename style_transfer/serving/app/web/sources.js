// The two places where a file is dropped, chosen or recorded, or an example picked.

import * as api from "./api.js";
import { $, clearError, element, minutes, radio, showError } from "./dom.js";
import * as record from "./record.js";

const KINDS = { notes: "MIDI", recording: "recording", piano: "piano file" };
const NOTES = /\.(midi?|kar|rmi|musicxml|mxl|xml|abc)$/i;
const PIANO = /\.piano$/i;
const RECORDED = { content: "My playing", style: "My piano" };

export class Source {
  // role: "content" or "style"; onChange is called when what is chosen changes; onFiles with what
  // was dropped.
  constructor(role, limits, examples, onChange, onFiles) {
    this.role = role;
    this.limits = limits;
    this.onChange = onChange;
    this.examples = examples;
    this.chosen = null;
    this.turn = 0; // of several uploads, the last counts
    this.section = $(role);
    this.input = $(`${role}-file`);
    this.drop = this.section.querySelector(".drop");
    this.input.addEventListener("change", () => this.send(this.input.files[0]));
    this.drop.addEventListener("dragover", () => this.drop.classList.add("over"));
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("over"));
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.drop.classList.remove("over");
      onFiles([...event.dataTransfer.files], this);
    });
    record.offer(this.section.querySelector(".recorder"), RECORDED[role],
      role === "style" ? limits.clip_secs : limits.content_secs, (file) => this.send(file));
    const fieldset = this.section.querySelector(".examples");
    fieldset.hidden = examples.length === 0;
    for (const example of examples) {
      fieldset.append(radio(`${role}-example`, example.example, example.name, () => {
        clearError();
        this.choose(example);
      }));
    }
  }

  async send(file) {
    if (!file) return;
    clearError();
    const turn = ++this.turn;
    this.section.setAttribute("aria-busy", "true");
    try {
      const read = await api.upload(file, this.role, this.limits.body_bytes);
      if (turn === this.turn) this.choose(read);
    } catch (error) {
      if (turn === this.turn) showError(error);
    } finally {
      if (turn === this.turn) this.section.removeAttribute("aria-busy");
      this.input.value = ""; // so that the same file can be chosen again
    }
  }

  choose(source) {
    this.turn++;
    this.section.removeAttribute("aria-busy");
    this.chosen = source;
    for (const input of this.section.querySelectorAll(".examples input")) {
      input.checked = input.value === source.example;
    }
    const about = [KINDS[source.kind]];
    if (source.seconds) about.push(minutes(source.seconds));
    if (source.notes) about.push(`${source.notes} notes`);
    const shown = this.section.querySelector(".chosen");
    shown.hidden = false;
    shown.replaceChildren(element("strong", {}, source.name),
      element("span", { class: "quiet" }, ` — ${about.join(", ")}`),
      ...(source.remarks || []).map((text) => element("small", { class: "remark" }, text)));
    this.onChange(this);
  }

  // What the server is told.
  get reference() {
    const { upload, example } = this.chosen;
    return upload ? { upload } : { example };
  }

  // What stands in the address.
  get place() {
    const { upload, example } = this.chosen;
    return upload ? `upload:${upload}` : `example:${example}`;
  }
}

// Which of two sources takes which files: MIDI is a piece, .piano a piano, recordings go where
// they were dropped and then to the other.
export function sort(files, droppedOn, sources) {
  const [piece, piano] = sources;
  const free = droppedOn === piano ? [piano, piece] : [piece, piano];
  const taken = new Map();
  const rest = [];
  for (const file of files) {
    const only = NOTES.test(file.name) ? piece : PIANO.test(file.name) ? piano : null;
    if (only && (only === droppedOn || files.length > 1 || !droppedOn)) taken.set(only, file);
    else rest.push(file);
  }
  for (const file of rest) {
    const place = free.find((source) => !taken.has(source));
    if (place) taken.set(place, file);
  }
  return taken;
}
