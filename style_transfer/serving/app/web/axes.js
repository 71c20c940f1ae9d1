// What pictures with a time axis share, so that one second is in one place in all of them.

export const LEFT = 36; // pixels beside the time axis, for labels

const TICK_SECS = [1, 2, 5, 10, 20, 30, 60, 120];
const FEWEST_PIXELS = 70;

export const css = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Round times that leave room for their labels.
export function ticks(seconds, width) {
  const step = TICK_SECS.find((secs) => secs / seconds * width >= FEWEST_PIXELS) || 300;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
}

// A canvas wiped and ready, with the width of its time axis; null while it is not to be seen.
export function pen(canvas) {
  const { clientWidth, clientHeight } = canvas;
  if (!clientWidth) return null;
  const scale = window.devicePixelRatio || 1;
  canvas.width = clientWidth * scale;
  canvas.height = clientHeight * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.font = "12px system-ui, sans-serif";
  return { context, width: clientWidth - LEFT, height: clientHeight };
}
