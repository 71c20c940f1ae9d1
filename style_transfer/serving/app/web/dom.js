// Small helpers. Text from files and servers only ever becomes text, never markup.

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

export function radio(group, value, text, onChange) {
  const input = element("input", { type: "radio", name: group, value });
  input.addEventListener("change", onChange);
  return element("label", { class: "chip" }, input, element("span", {}, text));
}

export function minutes(secs) {
  const whole = Math.floor(secs + 1e-6);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

export function say(text) {
  $("said").textContent = text;
}

export function clearError() {
  $("alert").hidden = true;
  $("alert").replaceChildren();
}

export function showError(error) {
  const close = element("button", { type: "button" }, "Close");
  close.addEventListener("click", clearError);
  $("alert").hidden = false;
  $("alert").replaceChildren(element("span", {}, error.message), close);
  $("alert").scrollIntoView({ block: "nearest" });
}
