// How the piece is changed before it is played: transposed, faster or slower, fewer tracks.

import { $, element } from "./dom.js";

export class Arrangement {
  constructor() {
    $("tempo").addEventListener("input", () => this.say());
  }

  // A piece was chosen; another one is played as it is.
  offer(piece) {
    $("arrangement").hidden = false;
    const tracks = piece.tracks || [];
    $("chosen-tracks").hidden = tracks.length === 0;
    const legend = $("chosen-tracks").querySelector("legend");
    $("chosen-tracks").replaceChildren(legend, ...tracks.map(({ number, name }) => {
      const input = element("input", { type: "checkbox", value: number });
      input.checked = true;
      return element("label", { class: "check" }, input, ` ${name}`);
    }));
    this.set({});
  }

  set({ transpose = 0, tempo = 1, tracks = null }) {
    $("transpose").value = transpose;
    $("tempo").value = Math.log2(tempo);
    for (const input of this.boxes) {
      input.checked = tracks === null || tracks.includes(Number(input.value));
    }
    this.say();
  }

  say() {
    const text = `${Math.round(100 * this.tempo)} %`;
    $("tempo-text").textContent = text;
    $("tempo").setAttribute("aria-valuetext", text);
  }

  get tempo() {
    return Number((2 ** $("tempo").valueAsNumber).toFixed(4));
  }

  get boxes() {
    return [...$("chosen-tracks").querySelectorAll("input")];
  }

  // What the server is told.
  get values() {
    const values = {};
    const transpose = $("transpose").valueAsNumber || 0;
    if (transpose) values.transpose = transpose;
    if (this.tempo !== 1) values.tempo = this.tempo;
    const checked = this.boxes.filter((input) => input.checked);
    if (checked.length < this.boxes.length) {
      values.tracks = checked.map((input) => Number(input.value));
    }
    return values;
  }
}
