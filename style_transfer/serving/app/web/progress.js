// Follows a job until it ends. The server takes an open connection for somebody who watches.

import * as api from "./api.js";
import { $, element, say } from "./dom.js";

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
  $("stages").replaceChildren();
  try {
    let said = "";
    const last = await ended(job, (about) => {
      if ($("progress").hidden) begin();
      said = show(about, said);
    });
    if (last.state === "failed") throw new Error(last.error);
    return last.state === "done";
  } finally {
    $("cancel").removeEventListener("click", cancel);
  }
}

function begin() {
  $("progress").hidden = false;
  $("progress").focus({ preventScroll: true });
  $("progress").scrollIntoView({ block: "nearest" });
}

// The last state of a job; `onState` is called with those before.
function ended(job, onState) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(api.events(job));
    source.onmessage = (event) => {
      const about = JSON.parse(event.data);
      if (["queued", "running"].includes(about.state)) return onState(about);
      source.close();
      resolve(about);
    };
    // A browser connects again by itself, unless the server said that there is nothing.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) {
        api.state(job).then(resolve, reject);
      } else {
        say("The server does not answer. Trying again");
        $("progress-title").textContent = "The server does not answer. Trying again";
      }
    };
  });
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
