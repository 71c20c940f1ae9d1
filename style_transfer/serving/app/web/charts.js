// The estimated piano as four small charts: as fitted (dashed) and as the sliders make it.

import { $, element, pitchName, svg } from "./dom.js";

const WIDTH = 260, HEIGHT = 160;
const AREA = { left: 40, right: 6, top: 8, bottom: 22 };
const KEY_PITCHES = [24, 36, 48, 60, 72, 84, 96, 108];

const signed = (value, digits = 1) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

const CHARTS = [
  { key: "tuning_cents", title: "Tuning", unit: "cents", least: 5,
    about: (c) => `A4 ${signed(c.tuning_cents[48])}, A1 ${signed(c.tuning_cents[12])}, ` +
      `A7 ${signed(c.tuning_cents[84])} cents` },
  { key: "inharmonicity", title: "Inharmonicity B", log: true,
    about: (c) => `A1 ${c.inharmonicity[12].toExponential(1)}, ` +
      `A4 ${c.inharmonicity[48].toExponential(1)}` },
  { key: "ringing_secs", title: "How long notes ring", unit: "s", log: true,
    about: (c) => `A1 ${c.ringing_secs[12].toFixed(1)} s, A4 ${c.ringing_secs[48].toFixed(1)} s ` +
      "to −60 dB" },
  { key: "room_level_db", title: "Room", unit: "dB", x: "room_hz", least: 3,
    about: (c) => `dB by frequency; reverb ${c.room_secs.toFixed(2)} s` },
];

export function show(fitted, now) {
  $("charts").replaceChildren(...CHARTS.map((chart) => figure(chart, fitted, now)));
}

function figure(chart, fitted, now) {
  const about = chart.about(now);
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `${chart.title}: ${about}` });
  const scaleX = chart.x ? frequencyAxis(root, now[chart.x]) : keyAxis(root, now);
  const y = valueAxis(root, chart, [...fitted[chart.key], ...now[chart.key]]);
  for (const [name, values] of [["fitted", fitted[chart.key]], ["now", now[chart.key]]]) {
    const points = values.map((value, i) => `${scaleX(i).toFixed(1)},${y(value).toFixed(1)}`);
    root.append(svg("polyline", { class: name, points: points.join(" ") }));
  }
  return element("figure", { class: "plot" }, element("figcaption", {}, chart.title,
    element("br"), element("span", { class: "quiet" }, about)), root);
}

function keyAxis(root, now) {
  const last = now.tuning_cents.length - 1;
  const x = (key) => AREA.left + key / last * (WIDTH - AREA.left - AREA.right);
  for (const pitch of KEY_PITCHES) {
    const at = x(pitch - now.lowest_pitch);
    tickX(root, at, pitchName(pitch));
  }
  return x;
}

function frequencyAxis(root, hz) {
  const low = Math.log(hz[0]), high = Math.log(hz[hz.length - 1]);
  const at = (value) => AREA.left + (Math.log(value) - low) / (high - low) *
    (WIDTH - AREA.left - AREA.right);
  for (const [value, text] of [[100, "100"], [1000, "1 kHz"], [10000, "10 k"]]) {
    tickX(root, at(value), text);
  }
  return (i) => at(hz[i]);
}

function tickX(root, at, text) {
  root.append(svg("line", { class: "grid", x1: at, x2: at, y1: AREA.top,
    y2: HEIGHT - AREA.bottom }));
  const anchor = at > WIDTH - 24 ? "end" : "middle";
  root.append(svg("text", { x: anchor === "end" ? WIDTH : at, y: HEIGHT - 6,
    "text-anchor": anchor }, text));
}

function valueAxis(root, chart, values) {
  const of = chart.log ? Math.log10 : (value) => value;
  let low = Math.min(...values.map(of)), high = Math.max(...values.map(of));
  const least = chart.log ? 0.3 : 2 * chart.least;
  const margin = Math.max(0.06 * (high - low), (least - (high - low)) / 2, 0);
  low -= margin;
  high += margin;
  const y = (value) => AREA.top + (high - of(value)) / (high - low) *
    (HEIGHT - AREA.top - AREA.bottom);
  for (const tick of chart.log ? logTicks(low, high) : linearTicks(low, high)) {
    root.append(svg("line", { class: "grid", x1: AREA.left, x2: WIDTH - AREA.right, y1: y(tick),
      y2: y(tick) }));
    root.append(svg("text", { x: AREA.left - 5, y: y(tick) + 4, "text-anchor": "end" },
      tickText(tick, chart)));
  }
  return y;
}

function linearTicks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step), count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

function logTicks(low, high) {
  const steps = high - low > 1.6 ? [1] : high - low > 0.8 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const step of steps) {
      const exponent = power + Math.log10(step);
      if (exponent >= low && exponent <= high) found.push(Number(`${step}e${power}`));
    }
  }
  return found;
}

function tickText(value, chart) {
  if (chart.key === "inharmonicity") return value.toExponential(0).replace("-", "−");
  return `${String(value).replace("-", "−")}${chart.unit === "s" ? " s" : ""}`;
}
