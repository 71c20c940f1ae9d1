// The page: sources -> job -> result -> sliders -> job -> result.

import * as address from "./address.js";
import * as api from "./api.js";
import { Arrangement } from "./arrangement.js";
import * as charts from "./charts.js";
import { $, clearError, element, say, showError } from "./dom.js";
import { Live } from "./live.js";
import { Player } from "./player.js";
import { follow } from "./progress.js";
import { Sliders } from "./sliders.js";
import { Source, sort } from "./sources.js";
import { Clip, Timeline } from "./timeline.js";

const PREVIEW_MS = 200;

let sources, sliders, live;
let busy = false;
let base = null; // the job that estimated the piano
let shown = null; // the job whose sound is heard: base, or base played again
let made = null; // the result of base
let estimated = null; // the piano that the sliders are of
let notes = { file: null, style: null, reference: null }; // of the piano's recording, as sent
let notesOf = null; // the piano that was chosen when its notes were
let previewTimer, previewCall;

const arrangement = new Arrangement();
const timeline = new Timeline((secs) => player.seek(secs));
const clip = new Clip((secs) => player.seek(secs, false));
const player = new Player((secs, track) => {
  timeline.at(track.inTime ? secs : 0);
  clip.at(track.key === "style" ? secs : 0);
});

function refresh() {
  const missing = sources.some((source) => !source.chosen);
  $("play").disabled = busy || missing;
  $("play").title = missing ? "Choose a piece and a piano first" : "";
  $("replay").disabled = busy;
  $("live").hidden = !sources[1].chosen;
  live.refresh(busy);
}

function chosen(source) {
  if (source.role === "content") arrangement.offer(source.chosen);
  else {
    if (source.place !== estimated) live.forget();
    // The notes of one recording are not those of the next.
    if (notesOf && notesOf !== source.place && $("notes-file").files.length) {
      $("notes-file").value = "";
      say("The notes chosen for the recording before are left out.");
    }
    notesOf = $("notes-file").files.length ? source.place : null;
  }
  address.change({ [source.role]: source.place });
  refresh();
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

// What the server is told of the piano.
async function fit() {
  const request = { style: sources[1].reference, seed: Number($("seed").value) || 0 };
  if ($("steps").value !== "") request.steps = Number($("steps").value);
  const reference = sources[1].chosen.kind === "recording" ? await styleNotes() : null;
  if (reference) request.style_notes = reference;
  // The sliders stay when the piece changes, and begin anew with another piano.
  if (estimated !== sources[1].place) sliders.reset();
  estimated = sources[1].place;
  return { ...request, voicing: sliders.values };
}

// Notes are sent once, since a piano is estimated once with them.
async function styleNotes() {
  const file = $("notes-file").files[0] || null;
  const style = sources[1].place;
  if (file && file !== notes.file) {
    const read = await api.upload(file, "notes", sources[1].limits.body_bytes);
    notes = { file, style, reference: { upload: read.upload } };
  }
  return file || notes.style === style ? notes.reference : null;
}

async function play() {
  const request = { ...(await fit()), content: sources[0].reference, ...arrangement.values };
  if ($("method").value) request.method = $("method").value;
  const { job } = await api.start(request);
  await take(job);
}

async function playAgain() {
  const { job } = await api.replay(shown, sliders.values, Number($("seed").value) || 0);
  await take(job);
}

// Follows a job and shows what it made.
async function take(job) {
  address.change({ job });
  if (!(await follow(job))) {
    address.change({ job: shown });
    return say("Cancelled");
  }
  await show(job);
  $("progress").hidden = true;
  say("Done. The result is ready to be heard.");
  $("result-title").focus({ preventScroll: true });
  $("result").scrollIntoView({ block: "start" });
  player.play();
}

async function show(job) {
  const { asked } = await api.state(job);
  const result = await api.result(job);
  base = asked.base || job;
  made = result;
  if (base !== job) made = await api.result(base).catch(() => result);
  if (made === result) base = job; // the first is kept no longer
  shown = job;
  showResult(result);
  if (result.piano) charts.show(made.charts, result.played_charts);
  address.remember(result.name);
}

// After a reload, in a second tab, in a tab that was closed: what the address says.
async function restore() {
  address.offerLast();
  const { job, live: instrument, ...places } = address.read();
  if (job) await attempt(() => takeUp(job), $("content-file"));
  for (const source of sources) await chooseAgain(source, places[source.role]);
  if (instrument && sources[1].chosen) live.restore(instrument);
}

async function takeUp(job) {
  const about = await api.state(job).catch((error) => {
    address.change({ job: null });
    address.forgetLast();
    throw error;
  });
  const { asked } = about;
  for (const source of sources) {
    const place = asked[source.role];
    if (place) source.choose(place);
  }
  estimated = sources[1].place;
  notes = { file: null, style: estimated, reference: asked.style_notes };
  sliders.set(asked.voicing);
  arrangement.set(asked);
  $("seed").value = asked.seed;
  $("method").value = asked.method || "";
  $("steps").value = asked.steps;
  if ($("steps").selectedIndex < 0) $("steps").value = "";
  if (about.state === "done") await show(job);
  else await take(job);
}

async function chooseAgain(source, place) {
  if (!place || source.chosen) return;
  const [kind, key] = [place.slice(0, place.indexOf(":")), place.slice(place.indexOf(":") + 1)];
  const found = kind === "example" ? source.examples.find((example) => example.example === key)
    : await api.sent(key).catch(() => null);
  if (found) source.choose(found);
  else address.change({ [source.role]: null });
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
  if (result.has_truth) {
    tracks.push({ key: "truth", name: "The piano itself", source: api.file(shown, "truth"),
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
  timeline.show(result, api.file(shown, "spectrogram"));
  clip.show(result, api.file(shown, "style_spectrogram"));
  player.show(tracks);
  for (const kind of ["audio", "notes", "piano"]) {
    $(`download-${kind}`).href = `${api.file(shown, kind)}?download=1`;
  }
  $("piano").hidden = $("download-piano").hidden = !result.piano;
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
  sliders = new Sliders(about.controls, preview);
  $("methods").hidden = about.methods.length === 0;
  $("method").append(...about.methods.map(({ method, about: text }) =>
    element("option", { value: method }, `${method}: ${text}`)));
  const accept = (files, droppedOn) => {
    for (const [source, file] of sort(files, droppedOn, sources)) source.send(file);
  };
  live = new Live((work) => !busy && attempt(work, $("live-start")), fit);
  sources = ["content", "style"].map(
    (role) => new Source(role, about.limits, about.examples[role], chosen, accept));
  $("notes-file").addEventListener("change", () => {
    notesOf = sources[1].chosen ? sources[1].place : null;
  });
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
  // A file that misses its place must not replace the page, and is taken all the same.
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    accept([...event.dataTransfer.files], null);
  });
  addEventListener("hashchange", () => location.reload());
  $("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is taken
    $("content-file").focus();
  });
  refresh();
  await restore();
}

begin().catch(showError);
