// What the page shows stands in its address: a job, what was chosen, the instrument that is played.
// So it is there again after a reload, in a second tab, and when a closed tab is opened again.

import { $ } from "./dom.js";

const LAST = "style_transfer.last";

export const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

export function change(values) {
  const all = { ...read(), ...values };
  const kept = Object.entries(all).filter(([, value]) => value);
  const hash = new URLSearchParams(kept).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
}

// For those who come back without the address.
export function remember(name) {
  try {
    localStorage.setItem(LAST, JSON.stringify({ name, hash: location.hash }));
  } catch { /* a browser may keep nothing */ }
}

export function offerLast() {
  try {
    const last = JSON.parse(localStorage.getItem(LAST));
    $("last").hidden = !last || Boolean(location.hash);
    if (last) $("last").href = last.hash;
    if (last) $("last").textContent = `Your last result: ${last.name}`;
  } catch { /* as above */ }
}

export function forgetLast() {
  try {
    localStorage.removeItem(LAST);
  } catch { /* as above */ }
  $("last").hidden = true;
}
