// Plays an instrument as the server samples it, by Web Audio: an SFZ player for SFZ of one kind.

const RELEASE_NEPERS = 10.3616; // a fade falls by so much over its nominal time
const HEADROOM = 0.5; // so that loud chords do not clip; a compressor would look ahead
const LOADED_AT_ONCE = 6; // connections that a browser opens to one server

const decibels = (db) => 10 ** (db / 20);

// Regions of a map, numbers as numbers.
export function parse(text) {
  return text.split("\n").filter((line) => line.startsWith("<region>")).map((line) => {
    const pairs = line.split(/\s+/).slice(1).map((word) => word.split("="));
    const region = Object.fromEntries(pairs.map(([name, value]) =>
      [name, isNaN(value) ? value : Number(value)]));
    region.curve = pairs.filter(([name]) => name.startsWith("amp_velcurve_"))
      .map(([name, value]) => [Number(name.slice(13)), Number(value)]).sort((a, b) => a[0] - b[0]);
    return region;
  });
}

// How loud a region is for a velocity: mixed with its neighbours in amplitude.
export function gain(region, velocity) {
  if (velocity < (region.lovel ?? 1) || velocity > (region.hivel ?? 127)) return 0;
  let level = decibels(region.volume);
  if (region.curve.length) level *= curve(region.curve, velocity);
  const { xfin_lovel, xfin_hivel, xfout_lovel, xfout_hivel } = region;
  if (velocity < xfin_hivel) level *= (velocity - xfin_lovel) / (xfin_hivel - xfin_lovel);
  if (velocity > xfout_lovel) level *= (xfout_hivel - velocity) / (xfout_hivel - xfout_lovel);
  return level;
}

function curve(points, velocity) {
  const all = [[0, 0], ...points];
  const i = Math.max(1, all.findIndex(([at]) => at >= velocity));
  const [[left, low], [right, high]] = [all[i - 1], all[i]];
  return low + (high - low) * (velocity - left) / (right - left);
}

export class Sampler {
  // address: of a file by its name; map: the SFZ's text.
  constructor(address, map) {
    this.address = address;
    this.regions = parse(map);
    this.context = new AudioContext({ latencyHint: 0 }); // "interactive" may be twice as slow
    this.out = new GainNode(this.context, { gain: HEADROOM });
    this.out.connect(this.context.destination);
    this.buffers = new Map();
    this.sounding = new Map(); // pitch -> its voices
    this.held = new Set();
    this.pedalled = new Set();
    this.isPedalDown = false;
  }

  // Reads all samples, those in the middle of the keyboard first; onProgress is told the share.
  async load(onProgress) {
    const far = (region) => Math.abs(region.pitch_keycenter - 62);
    const waiting = [...this.regions].sort((a, b) => far(a) - far(b));
    // Kept at their own rate, which takes a half or less of the context's.
    let done = 0;
    const worker = async () => {
      for (let region = waiting.shift(); region; region = waiting.shift()) {
        const response = await fetch(this.address(region.sample));
        if (!response.ok) throw new Error("The instrument is no longer kept here. Begin again.");
        const data = await response.arrayBuffer();
        const reader = new OfflineAudioContext(1, 1, flacRate(data));
        this.buffers.set(region.sample, await reader.decodeAudioData(data));
        onProgress(++done / this.regions.length);
      }
    };
    await Promise.all(Array.from({ length: LOADED_AT_ONCE }, worker));
  }

  // Seconds from here to the loudspeaker, as the browser says.
  get latencySecs() {
    return this.context.baseLatency + (this.context.outputLatency || 0);
  }

  on(pitch, velocity) {
    if (this.context.state !== "running") this.context.resume();
    this.silence(pitch);
    this.held.add(pitch);
    this.pedalled.delete(pitch);
    const now = this.context.currentTime;
    const voices = this.of(pitch, false).map((region) => this.start(region, pitch,
      gain(region, velocity))).filter(Boolean);
    this.sounding.set(pitch, { voices, velocity, begun: now });
  }

  off(pitch) {
    this.held.delete(pitch);
    if (this.isPedalDown) this.pedalled.add(pitch);
    else this.release(pitch);
  }

  pedal(down) {
    this.isPedalDown = down;
    if (down) return;
    for (const pitch of this.pedalled) if (!this.held.has(pitch)) this.release(pitch);
    this.pedalled.clear();
  }

  allOff() {
    this.pedal(false);
    for (const pitch of [...this.held]) this.off(pitch);
  }

  of(pitch, isRelease) {
    return this.regions.filter((region) => pitch >= region.lokey && pitch <= region.hikey &&
      (region.trigger === "release") === isRelease);
  }

  start(region, pitch, level) {
    const buffer = this.buffers.get(region.sample);
    if (!buffer || level < 1e-5) return null;
    const source = new AudioBufferSourceNode(this.context, { buffer,
      playbackRate: 2 ** ((pitch - region.pitch_keycenter) / 12) });
    const volume = new GainNode(this.context, { gain: level });
    source.connect(volume).connect(this.out);
    source.onended = () => volume.disconnect();
    source.start();
    return { source, volume, region };
  }

  // The damper falls.
  silence(pitch) {
    const note = this.sounding.get(pitch);
    if (!note) return;
    this.sounding.delete(pitch);
    const now = this.context.currentTime;
    for (const { source, volume, region } of note.voices) {
      volume.gain.setTargetAtTime(0, now, region.ampeg_release / RELEASE_NEPERS);
      source.stop(now + Math.min(region.ampeg_release, 30));
    }
  }

  release(pitch) {
    const note = this.sounding.get(pitch);
    if (!note) return;
    this.silence(pitch);
    const secs = this.context.currentTime - note.begun;
    for (const region of this.of(pitch, true)) {
      this.start(region, pitch, gain(region, note.velocity) * decibels(-region.rt_decay * secs));
    }
  }
}

// The rate in the header of a FLAC file, which decodeAudioData does not tell beforehand.
function flacRate(data) {
  const header = new DataView(data, 18, 4);
  return header.getUint32(0) >>> 12;
}
