// The page: sources -> job -> result -> sliders -> job -> result.

import * as api from "./api.js";
import * as charts from "./charts.js";
import { $, clearError, say, showError } from "./dom.js";
import { Player } from "./player.js";
import { follow } from "./progress.js";
import { Roll } from "./roll.js";
import { Sliders } from "./sliders.js";
import { Source } from "./sources.js";
import * as spectrogram from "./spectrogram.js";

const PREVIEW_MS = 200;

let sources, sliders;
let busy = false;
let base = null; // the job that estimated the piano
let shown = null; // the job whose sound is heard: base, or base played again
let made = null; // the result of base
let seed = 0;
let previewTimer, previewCall;

const roll = new Roll((secs) => player.seek(secs));
const player = new Player((secs) => roll.at(secs));

function refresh() {
  const missing = sources.some((source) => !source.chosen);
  $("play").disabled = busy || missing;
  $("play").title = missing ? "Choose a piece and a piano first" : "";
  $("replay").disabled = busy;
}

// Runs one job at a time; every error ends up in front of the reader, and the page goes on.
async function attempt(work, returnTo) {
  busy = true;
  clearError();
  refresh();
  player.stop();
  try {
    return await work();
  } catch (error) {
    showError(error);
    return false;
  } finally {
    busy = false;
    refresh();
    const lost = [document.body, $("progress"), $("cancel")].includes(document.activeElement);
    $("progress").hidden = true;
    if (lost) returnTo.focus();
  }
}

async function play() {
  const [content, style] = sources.map((source) => source.reference);
  seed = Number($("seed").value) || 0;
  const request = { content, style, seed };
  if ($("steps").value !== "") request.steps = Number($("steps").value);
  const notes = $("notes-file").files[0];
  if (notes && sources[1].chosen.kind === "recording") {
    const read = await api.upload(notes, "notes", sources[1].limits.body_bytes);
    request.style_notes = { upload: read.upload };
  }
  const { job } = await api.start(request);
  if (!(await follow(job))) return say("Cancelled");
  made = await api.result(job);
  base = shown = job;
  sliders.reset();
  showResult(made);
  charts.show(made.charts, made.played_charts);
  finish();
}

async function playAgain() {
  const { job } = await api.replay(base, sliders.values, seed);
  if (!(await follow(job))) return say("Cancelled");
  const before = shown;
  const again = await api.result(job);
  shown = job;
  showResult(again);
  charts.show(made.charts, again.played_charts);
  if (before !== base) api.cancel(before).catch(() => {}); // nobody hears it any more
  finish();
}

function finish() {
  $("progress").hidden = true;
  say("Done. The result is ready to be heard.");
  $("result-title").focus({ preventScroll: true });
  $("result").scrollIntoView({ block: "start" });
  player.play();
}

function showResult(result) {
  $("result").hidden = false;
  $("result-title").textContent = result.name;
  $("warnings").hidden = result.warnings.length === 0;
  $("warnings").textContent = result.warnings.join(" ");
  const tracks = [{ key: "result", name: "Result", source: api.file(shown, "audio"), inTime: true }];
  if (shown !== base) {
    tracks.push({ key: "before", name: "Before the sliders", source: api.file(base, "audio"),
      inTime: true });
  }
  if (result.has_recording) {
    tracks.push({ key: "recording", name: "Original recording",
      source: api.file(shown, "recording"), inTime: true });
  }
  if (result.has_style) {
    tracks.push({ key: "style", name: "Recording of the piano", source: api.file(shown, "style"),
      inTime: false });
  }
  player.show(tracks);
  for (const kind of ["audio", "notes", "piano"]) {
    $(`download-${kind}`).href = `${api.file(shown, kind)}?download=1`;
  }
  roll.show(result.roll, result.seconds);
  spectrogram.show($("spectrogram"), "the result", api.file(shown, "spectrogram"), result.seconds,
    result.highest_hz);
  $("style-spectrogram").hidden = !result.has_style_spectrogram;
  if (result.has_style_spectrogram) {
    spectrogram.show($("style-spectrogram"), "the piano's recording",
      api.file(shown, "style_spectrogram"), result.style_seconds, result.style_highest_hz);
  }
  const how = !result.has_style ? "taken from its file" : result.fitted
    ? "measured and fitted to its recording" : "estimated from its recording";
  $("piano-about").textContent = `${result.piano}: ${how}. Dashed: as it was; the sliders change ` +
    "it, and the .piano download has them in it.";
}

function preview() {
  clearTimeout(previewTimer);
  previewTimer = setTimeout(async () => {
    if (previewCall) previewCall.abort();
    previewCall = new AbortController();
    try {
      charts.show(made.charts, await api.preview(base, sliders.values, previewCall.signal));
    } catch (error) {
      if (error.name !== "AbortError") showError(error);
    }
  }, PREVIEW_MS);
}

async function begin() {
  const about = await api.about();
  sources = ["content", "style"].map(
    (role) => new Source(role, about.limits, about.examples[role], refresh));
  sliders = new Sliders(about.controls, preview);
  $("setup").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy && sources.every((source) => source.chosen)) attempt(play, $("play"));
  });
  $("voicing").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) attempt(playAgain, $("replay"));
  });
  $("reset").addEventListener("click", () => {
    sliders.reset();
    preview();
  });
  // A file that misses its place must not replace the page.
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => event.preventDefault());
  }
  refresh();
}

begin().catch(showError);
