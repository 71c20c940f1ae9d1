// The two places where a file is dropped or chosen, or an example picked.

import * as api from "./api.js";
import { $, clearError, element, minutes, radio, showError } from "./dom.js";

const KINDS = { notes: "MIDI", recording: "recording", piano: "piano file" };

export class Source {
  // role: "content" or "style"; onChange is called when what is chosen changes.
  constructor(role, limits, examples, onChange) {
    this.role = role;
    this.limits = limits;
    this.onChange = onChange;
    this.chosen = null;
    this.turn = 0; // of several uploads, the last counts
    this.section = $(role);
    this.input = $(`${role}-file`);
    this.drop = this.section.querySelector(".drop");
    this.input.addEventListener("change", () => this.send(this.input.files[0]));
    this.drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.drop.classList.add("over");
    });
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("over"));
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      this.drop.classList.remove("over");
      this.send(event.dataTransfer.files[0]);
    });
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
      if (turn !== this.turn) return;
      for (const input of this.section.querySelectorAll("input:checked")) input.checked = false;
      this.choose(read);
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
    const about = [KINDS[source.kind]];
    if (source.seconds) about.push(minutes(source.seconds));
    if (source.notes) about.push(`${source.notes} notes`);
    const shown = this.section.querySelector(".chosen");
    shown.hidden = false;
    shown.replaceChildren(element("strong", {}, source.name),
      element("span", { class: "quiet" }, ` — ${about.join(", ")}`));
    this.onChange();
  }

  // What the server is told.
  get reference() {
    const { upload, example } = this.chosen;
    return upload ? { upload } : { example };
  }
}
