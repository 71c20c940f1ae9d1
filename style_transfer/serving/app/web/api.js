// Calls of the page's server. Every failure becomes an Error whose message is for people.

const UNREACHABLE = "The server does not answer. Is style_transfer_app still running?";

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(UNREACHABLE);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `The server answered ${response.status}.`);
  return body;
}

const json = (value) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

export const about = () => call("/api/about");
export const start = (request) => call("/api/jobs", json(request));
export const state = (job) => call(`/api/jobs/${job}`);
export const events = (job) => `/api/jobs/${job}/events`;
export const sent = (upload) => call(`/api/uploads/${upload}`);
export const instrument = (request) => call("/api/instruments", json(request));
export const sample = (job, name) => `/api/jobs/${job}/samples/${encodeURIComponent(name)}`;
export const result = (job) => call(`/api/jobs/${job}/result`);
export const cancel = (job) => call(`/api/jobs/${job}`, { method: "DELETE" });
export const replay = (job, voicing, seed) =>
  call(`/api/jobs/${job}/replay`, json({ voicing, seed }));
export const preview = (job, voicing, signal) =>
  call(`/api/jobs/${job}/preview`, { ...json({ voicing }), signal });
export const file = (job, kind) => `/api/jobs/${job}/${kind}`;

export function upload(file, role, largest) {
  if (file.size > largest) {
    const mebibytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`;
    throw new Error(
      `“${file.name}” has ${mebibytes(file.size)}; at most ${mebibytes(largest)} are read.`);
  }
  const query = new URLSearchParams({ role, name: file.name });
  return call(`/api/uploads?${query}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
}
