// One player for the result and what it is compared with; what shares a time keeps its place.

import { $, minutes, radio } from "./dom.js";

const VOLUME = "style_transfer.volume";

export class Player {
  // onTime is called with seconds and the track that they are of.
  constructor(onTime) {
    this.audio = $("audio");
    this.current = null;
    const follow = () => {
      onTime(this.audio.currentTime, this.current);
      $("clock").textContent =
        `${minutes(this.audio.currentTime)} / ${minutes(this.audio.duration || 0)}`;
      if (!this.audio.paused) requestAnimationFrame(follow);
    };
    for (const event of ["play", "seeked", "timeupdate", "loadedmetadata"]) {
      this.audio.addEventListener(event, follow);
    }
    for (const event of ["play", "pause", "ended"]) {
      this.audio.addEventListener(event, () => {
        $("toggle").textContent = this.audio.paused ? "Play" : "Pause";
      });
    }
    $("toggle").addEventListener("click", () => this.toggle());
    $("volume").addEventListener("input", () => this.setVolume($("volume").valueAsNumber));
    try {
      this.setVolume(Number(localStorage.getItem(VOLUME) ?? 1));
    } catch { /* a browser may keep nothing */ }
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || event.repeat || !this.current || usesSpace(event.target)) return;
      event.preventDefault();
      this.toggle();
    });
  }

  setVolume(volume) {
    $("volume").value = volume;
    this.audio.volume = volume ** 2; // as loudness is heard
    $("volume").setAttribute("aria-valuetext", `${Math.round(100 * volume)} %`);
    try {
      localStorage.setItem(VOLUME, volume);
    } catch { /* as above */ }
  }

  // tracks: [{key, name, source, inTime}]; the first is chosen.
  show(tracks) {
    const legend = $("tracks").querySelector("legend");
    $("tracks").replaceChildren(legend, ...tracks.map(
      (track) => radio("track", track.key, track.name, () => this.choose(track))));
    $("tracks").querySelector("input").checked = true;
    this.choose(tracks[0]);
  }

  choose(track) {
    const playing = !this.audio.paused;
    const secs = this.current && this.current.inTime && track.inTime ? this.audio.currentTime : 0;
    this.current = track;
    this.audio.src = track.source;
    this.audio.setAttribute("aria-label", track.name);
    this.audio.currentTime = secs;
    if (playing) this.play();
  }

  play() {
    this.audio.play().catch(() => {}); // a browser may want a click first
  }

  stop() {
    this.audio.pause();
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.stop();
  }

  seek(secs, inTime = true) {
    if (this.current && this.current.inTime === inTime) this.audio.currentTime = secs;
  }
}

// What does something of its own with the space key.
function usesSpace(target) {
  const taken = "button, a, summary, select, textarea, [role=group], " +
    "input:not([type=range]):not([type=radio])";
  return target.closest && target.closest(taken) !== null;
}
