// One player for the result and what it is compared with; what shares a time keeps its place.

import { $, radio } from "./dom.js";

export class Player {
  constructor(onTime) {
    this.audio = $("audio");
    this.tracks = [];
    this.current = null;
    const follow = () => {
      onTime(this.current && this.current.inTime ? this.audio.currentTime : 0);
      if (!this.audio.paused) requestAnimationFrame(follow);
    };
    for (const event of ["play", "seeked", "timeupdate"]) {
      this.audio.addEventListener(event, follow);
    }
  }

  // tracks: [{key, name, source, inTime}]; the first is chosen.
  show(tracks) {
    this.tracks = tracks;
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

  seek(secs) {
    if (this.current && this.current.inTime) this.audio.currentTime = secs;
  }
}
