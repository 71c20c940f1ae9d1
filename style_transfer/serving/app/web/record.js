// A recording from the microphone, as a file.

import { element, minutes, showError } from "./dom.js";

// What a browser does to voices would spoil a piano.
const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const CLIPPING = 0.99;

// place: an element for the button; role: for its label; longestSecs: where it stops by itself;
// onFile: called with what was recorded.
export function offer(place, name, longestSecs, onFile) {
  if (!navigator.mediaDevices || !window.MediaRecorder) return; // no microphone here, or no HTTPS
  const button = element("button", { type: "button" }, "Record from the microphone");
  const meter = element("meter", { min: 0, max: 1, high: CLIPPING, "aria-label": "Level" });
  meter.hidden = true;
  place.hidden = false;
  place.replaceChildren(button, meter);
  let stop = null;
  button.addEventListener("click", async () => {
    if (stop) return stop();
    try {
      button.disabled = true;
      stop = await record(longestSecs, (secs, level) => {
        button.textContent = `Stop (${minutes(secs)})`;
        meter.value = level;
      }, (data) => {
        stop = null;
        meter.hidden = true;
        button.textContent = "Record from the microphone";
        onFile(new File([data], `${name}, ${new Date().toISOString().slice(0, 16)}`));
      });
      meter.hidden = false;
      button.textContent = "Stop";
    } catch (error) {
      showError(new Error(error.name === "NotAllowedError"
        ? "The browser was not allowed to use the microphone. Allow it beside the address."
        : `The microphone cannot be used (${error.message}).`));
    } finally {
      button.disabled = false;
    }
  });
}

// Begins, and gives the function that ends it.
async function record(longestSecs, onLevel, onEnd) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
  const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 256_000 });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const parts = [], begun = performance.now();
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    for (const track of stream.getTracks()) track.stop();
    context.close();
    onEnd(new Blob(parts, { type: recorder.mimeType }));
  });
  recorder.start();
  const look = () => {
    if (recorder.state !== "recording") return;
    const secs = (performance.now() - begun) / 1000;
    analyser.getFloatTimeDomainData(wave);
    onLevel(secs, wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    if (secs >= longestSecs) recorder.stop();
  };
  const timer = setInterval(look, 100);
  recorder.addEventListener("stop", () => clearInterval(timer));
  return () => recorder.stop();
}
