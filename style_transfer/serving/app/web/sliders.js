// What a technician could do to the piano.

import { $, element } from "./dom.js";

// Factors that cannot be 0 run in octaves, so that half and double are equally far.
const isLog = (control) => control.unit === "x" && control.low > 0;
const toSlider = (control, value) => (isLog(control) ? Math.log2(value) : value);
const toValue = (control, position) =>
  Number((isLog(control) ? 2 ** position : position).toFixed(3));

function text(control, value) {
  if (control.unit === "x") return `× ${value.toFixed(2)}`;
  const sign = value > 0 && control.low < 0 ? "+" : value < 0 ? "−" : "";
  return `${sign}${Math.abs(value)} ${control.unit}`;
}

export class Sliders {
  constructor(controls, onChange) {
    this.controls = controls;
    this.inputs = {};
    for (const control of controls) $("sliders").append(this.make(control, onChange));
  }

  make(control, onChange) {
    const id = `slider-${control.name}`;
    const input = element("input", { type: "range", id, min: toSlider(control, control.low),
      max: toSlider(control, control.high), "aria-describedby": `${id}-help`,
      step: isLog(control) ? 0.05 : control.high - control.low > 30 ? 1 : 0.25 });
    input.value = toSlider(control, control.neutral);
    const output = element("output", { for: id });
    const row = element("div", { class: "slider" }, element("label", { for: id }, control.label),
      output, input, element("small", { id: `${id}-help` }, control.help));
    const update = () => {
      const value = this.value(control);
      output.textContent = text(control, value);
      input.setAttribute("aria-valuetext", text(control, value));
      row.classList.toggle("changed", value !== control.neutral);
    };
    input.addEventListener("input", () => {
      update();
      onChange();
    });
    this.inputs[control.name] = { input, update };
    update();
    return row;
  }

  value(control) {
    return toValue(control, this.inputs[control.name].input.valueAsNumber);
  }

  get values() {
    return Object.fromEntries(this.controls.map((c) => [c.name, this.value(c)]));
  }

  set(values) {
    for (const control of this.controls) {
      const { input, update } = this.inputs[control.name];
      input.value = toSlider(control, values[control.name] ?? control.neutral);
      update();
    }
  }

  reset() {
    this.set({});
  }
}
