// Follows a job until it ends.

import * as api from "./api.js";
import { $, element, say } from "./dom.js";

const EVERY_MS = 300;
const pause = () => new Promise((resolve) => setTimeout(resolve, EVERY_MS));

// Shows the job's progress until the caller hides it: true if it is done, false if it was
// cancelled; throws if it failed.
export async function follow(job) {
  const cancel = () => {
    $("cancel").disabled = true;
    say("Cancelling");
    api.cancel(job).catch(() => {}); // it may have ended by itself
  };
  $("cancel").disabled = false;
  $("cancel").addEventListener("click", cancel);
  $("progress").hidden = false;
  $("stages").replaceChildren();
  $("progress").focus({ preventScroll: true });
  $("progress").scrollIntoView({ block: "nearest" });
  try {
    for (let said = ""; ; await pause()) {
      const about = await api.state(job);
      if (about.state === "done") return true;
      if (about.state === "cancelled") return false;
      if (about.state === "failed") throw new Error(about.error);
      said = show(about, said);
    }
  } finally {
    $("cancel").removeEventListener("click", cancel);
  }
}

function show(about, said) {
  const waiting = about.state === "queued";
  const text = waiting ? "Waiting for other jobs" : about.stages[about.stage] || "Beginning";
  if (text !== said) say(text);
  $("progress-title").textContent = text;
  // Some stages tell only that they have begun.
  const percent = waiting || !about.fraction ? "" : `${Math.round(100 * about.fraction)} % · `;
  $("elapsed").textContent = `${percent}${Math.round(about.secs)} s`;
  $("bar").value = (Math.max(about.stage, 0) + about.fraction) / about.stages.length;
  $("stages").replaceChildren(...about.stages.map((stage, i) => element(
    "li", { class: i < about.stage ? "done" : i === about.stage ? "now" : "" }, stage)));
  return text;
}
