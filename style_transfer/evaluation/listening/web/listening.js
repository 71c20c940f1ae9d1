// The listening test. A classic script: pages opened from a disk may load no modules and fetch
// nothing, but they may play audio that lies beside them.
"use strict";

const test = window.LISTENING_TEST;
const byId = (id) => document.getElementById(id);
const KINDS = {
  mushra: {
    question: "How close does each come to the reference?",
    hint: "One of them is the reference itself: give it 100. Rate all.",
    keys: "Keys: 1 to 9 play a sound and move to its slider, arrow keys rate (Page Up and Page " +
          "Down by ten), R plays the reference, S stops, Enter goes on.",
  },
  ab: {
    question: "Which one is closer to the reference?",
    hint: "Both play the same piece.",
    keys: "Keys: A and B play, R plays the reference, S stops; 1, 2 and 0 answer; Enter goes on.",
  },
};
const SCALE = ["bad", "poor", "fair", "good", "excellent"];
const player = { current: null, sounds: new Map() };
let state = null; // {listener, seed, started, done: [answers]}
let trials = [];
let answer = null;
let begun = 0;

// ---------------------------------------------------------------- order
function hashed(text) { // FNV-1a
  let hash = 2166136261;
  for (const character of text) {
    hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0;
  }
  return hash;
}

function generator(seed) { // mulberry32: uniform in [0, 1)
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(items, random) {
  const found = [...items];
  for (let i = found.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}

function ordered(seed) { // kinds in blocks; trials and sounds in an order of their own
  const random = generator(seed);
  return Object.keys(KINDS).flatMap((kind) =>
    shuffled(test.trials.filter((trial) => trial.kind === kind), random)
      .map((trial) => ({ ...trial, stimuli: shuffled(trial.stimuli, random) })));
}

// ---------------------------------------------------------------- sound
function sound(file) {
  if (!player.sounds.has(file)) {
    const made = new Audio(file);
    made.preload = "auto";
    made.loop = true;
    made.addEventListener("error", () => fault(`${file} cannot be played. Keep the folder ` +
      "“sounds” beside this page."));
    player.sounds.set(file, made);
  }
  return player.sounds.get(file);
}

function play(file) {
  const wanted = sound(file);
  if (player.current && player.current !== wanted) {
    wanted.currentTime = player.current.currentTime;
    player.current.pause();
  }
  player.current = wanted;
  wanted.play().catch((error) => fault(`Sound does not start: ${error.message}`));
}

function stop() {
  if (player.current) {
    player.current.pause();
    player.current = null;
  }
  pressed(null);
}

function pressed(button) {
  for (const one of document.querySelectorAll("button[aria-pressed]")) {
    one.setAttribute("aria-pressed", String(one === button));
  }
}

function fault(message) {
  byId("fault").textContent = message;
  byId("fault").hidden = false;
}

setInterval(() => {
  const at = player.current;
  byId("clock").textContent = at && at.duration
    ? `${at.currentTime.toFixed(1)} of ${at.duration.toFixed(1)} s` : "";
}, 100);

// ---------------------------------------------------------------- one trial
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function listen(stimulus, button) {
  answer.plays[stimulus.id] = (answer.plays[stimulus.id] || 0) + 1;
  play(stimulus.file);
  pressed(button);
  check();
}

function playButton(stimulus, name, key) {
  const button = element("button", { type: "button", "aria-pressed": "false",
    "aria-keyshortcuts": key, onclick: () => listen(stimulus, button) }, name);
  if (name !== key) button.append(element("kbd", {}, key));
  return button;
}

function mushra(trial) {
  const rows = trial.stimuli.map((stimulus, index) => {
    const name = `Sound ${index + 1}`;
    const value = element("output", { "aria-hidden": "true" }, "–");
    const slider = element("input", { type: "range", min: "0", max: "100", value: "50", step: "1",
      "aria-label": `Rating of sound ${index + 1}, 0 bad to 100 excellent`, oninput: () => {
        answer.ratings[stimulus.id] = Number(slider.value);
        value.textContent = slider.value;
        row.classList.remove("open");
        check();
      } });
    const row = element("div", { class: "row open" }, playButton(stimulus, name, `${index + 1}`),
      slider, value);
    return row;
  });
  const scale = element("div", { class: "scale", "aria-hidden": "true" },
    ...SCALE.map((word) => element("span", {}, word)));
  byId("stimuli").replaceChildren(scale, ...rows);
}

function ab(trial) {
  const [first, second] = trial.stimuli;
  const buttons = element("div", { class: "pair" }, playButton(first, "A", "A"),
    playButton(second, "B", "B"));
  const choices = [["A is closer", first.id, "1"], ["B is closer", second.id, "2"],
    ["I hear no difference, or cannot say", "", "0"]].map(([words, id, key]) =>
    element("label", { class: "choice" },
      element("input", { type: "radio", name: "choice", value: id, "data-key": key,
        onchange: () => { answer.choice = id; check(); } }), words, element("kbd", {}, key)));
  byId("stimuli").replaceChildren(buttons,
    element("fieldset", {}, element("legend", {}, "Your answer"), ...choices));
}

function missing() {
  const trial = trials[state.done.length];
  const unheard = trial.stimuli.filter(({ id }) => !answer.plays[id]).length;
  if (unheard) return `${unheard} not heard yet`;
  if (trial.kind === "ab") return answer.choice === null ? "no answer yet" : "";
  const open = trial.stimuli.filter(({ id }) => !(id in answer.ratings)).length;
  return open ? `${open} not rated yet` : "";
}

function check() {
  byId("missing").textContent = missing();
  byId("next").disabled = Boolean(missing());
}

function show() {
  stop();
  const place = state.done.length;
  byId("welcome").hidden = true;
  byId("trial").hidden = place >= trials.length;
  byId("end").hidden = place < trials.length;
  if (place >= trials.length) {
    finish();
    return;
  }
  const trial = trials[place];
  answer = { id: trial.id, kind: trial.kind, order: trial.stimuli.map(({ id }) => id), plays: {},
    ...(trial.kind === "ab" ? { choice: null } : { ratings: {} }) };
  begun = Date.now();
  byId("place").textContent = `${place + 1} of ${trials.length}`;
  byId("progress").value = place / trials.length;
  byId("question").textContent = KINDS[trial.kind].question;
  byId("hint").textContent = KINDS[trial.kind].hint;
  byId("keys").textContent = KINDS[trial.kind].keys;
  ({ mushra, ab })[trial.kind](trial);
  [trial.reference, ...trial.stimuli.map(({ file }) => file)].forEach(sound); // begins to load
  check();
  window.scrollTo(0, 0);
  byId("question").focus();
}

function next() {
  if (byId("next").disabled) return;
  state.done.push({ ...answer, secs: (Date.now() - begun) / 1000 });
  keep();
  show();
}

// ---------------------------------------------------------------- beginning and end
const place = () => `listening-test-${test.id}`;

function keep() {
  try {
    localStorage.setItem(place(), JSON.stringify(state));
  } catch { /* a browser that stores nothing: the test has to be done in one go */ }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(place()));
  } catch {
    return null;
  }
}

function start(event) {
  event.preventDefault();
  const listener = byId("listener").value.trim();
  if (!listener) return;
  const before = kept();
  state = before && before.listener === listener ? before : { listener,
    seed: (hashed(listener) ^ test.seed) >>> 0, started: new Date().toISOString(), done: [] };
  trials = ordered(state.seed);
  show();
}

function finish() {
  const text = JSON.stringify({ test: test.id, listener: state.listener, seed: state.seed,
    started: state.started, finished: new Date().toISOString(), browser: navigator.userAgent,
    trials: state.done }, null, 1);
  byId("answers").value = text;
  const safe = state.listener.replace(/[^\p{L}\p{N}_-]+/gu, "_");
  byId("save").setAttribute("download", `${safe}.json`);
  byId("save").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  byId("thanks").focus();
}

async function copy() {
  byId("answers").select();
  try {
    await navigator.clipboard.writeText(byId("answers").value);
  } catch {
    document.execCommand("copy"); // where the page has no right to the clipboard
  }
  byId("copied").textContent = "Copied.";
}

function reference() {
  play(trials[state.done.length].reference);
  pressed(byId("reference"));
}

function onKey(event) {
  const typing = event.target.matches("#listener, textarea");
  if (typing || byId("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const trial = trials[state.done.length];
  const key = event.key.toLowerCase();
  const buttons = byId("stimuli").querySelectorAll("button");
  if (key === "r") reference();
  else if (key === "s") stop();
  else if (key === "enter" && !event.target.matches("button")) next();
  else if (trial.kind === "ab" && (key === "a" || key === "b")) buttons[key === "a" ? 0 : 1].click();
  else if (trial.kind === "ab" && "012".includes(key)) {
    const radio = byId("stimuli").querySelector(`[data-key="${key}"]`);
    radio.click();
    radio.focus();
  } else if (trial.kind === "mushra" && key >= "1" && key <= "9" && buttons[key - 1]) {
    buttons[key - 1].click();
    buttons[key - 1].parentElement.querySelector("input").focus();
  } else return;
  event.preventDefault();
}

const minutes = Math.max(1, Math.round(test.trials.reduce(
  (sum, trial) => sum + (trial.stimuli.length + 1) * test.secs * 1.5, 0) / 60));
byId("length").textContent = `${test.trials.length} questions, about ${minutes} minutes.`;
byId("resumed").hidden = !kept();
if (kept()) byId("listener").value = kept().listener;
byId("begin").addEventListener("submit", start);
byId("sample").addEventListener("click", () => play(test.trials[0].reference));
byId("reference").setAttribute("aria-pressed", "false");
byId("reference").addEventListener("click", reference);
byId("stop").addEventListener("click", stop);
byId("next").addEventListener("click", next);
byId("copy").addEventListener("click", copy);
document.addEventListener("keydown", onKey);
