"""A piano as an instrument that any sampler plays.

It has a sample of each key at several velocities, and of what is left of each when its key is
released, as FLAC files with an SFZ map.

* Samples of a key have the same phases and the same noise, so that what lies between two
  velocities is a plain mixture of their samples (`xf_velcurve=gain`).
* On release the sampler fades a sample as fast as the damper does, by an exponential. What this
  does not cover is a sample of its own (`trigger=release`): the room, which the damper does not
  reach, the damper's noise, and partials that are damped faster or more slowly. It is the exact
  difference for a note held `HELD_SECS`, and weaker for longer ones by the key's own decay.
* The sustain pedal is the sampler's; it lifts the dampers of samples that are sounding.

The piano's steady background noise, half-pedalling and strings that ring along are left out.
Samples are in stereo, and at 44.1 kHz, if the clip that the piano was estimated from told so much.
"""

import dataclasses
import math
import pathlib
import warnings

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll
from style_transfer.models.piano_ddsp import estimate, net
from style_transfer.models.piano_ddsp import sound as sound_lib

PITCHES = tuple(range(piano_roll.LOWEST_PITCH, piano_roll.LOWEST_PITCH + piano_roll.NUM_KEYS))
FULL = {"velocities": (8, 24, 40, 56, 72, 88, 104, 127), "pitches": PITCHES}
# For a player in a page, which reads it all before it plays.
SMALL = {"velocities": (24, 64, 104), "pitches": PITCHES[::3]}
RELEASE_VELOCITY = 72
HELD_SECS = 0.5
LONGEST_SECS, LONGEST_RELEASE_SECS = 16.0, 2.5
FADE_SECS = 0.05
SILENT_DB = -66.0  # below the sample's loudest 10 ms
PEAK_DB = -3.0  # of the loudest sample
SAMPLES = "samples"
_BLOCK_SECS = 0.01
_KEY_SEED = 1 << 41  # added to the seed of the noise, so that no two keys have the same
# A sampler's release falls by e^-10.36, 90 dB, over its nominal time (ARIA).
_RELEASE_NEPERS = 10.3616
_RELEASE_RANGE_SECS = (0.02, 60.0)
HEADER = """// {name}: an instrument sampled from a model by style_transfer.
<control> default_path={folder}/
<global> amp_veltrack=0 xf_velcurve=gain"""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One sample of an instrument.

    Attributes:
        pitch: MIDI pitch.
        velocity: Of the strike, 1 to 127.
        samples: float32 `[samples]` or `[samples, 2]`, at the instrument's common level.
    """

    pitch: int
    velocity: int
    samples: np.ndarray


@dataclasses.dataclass(frozen=True)
class Key:
    """What is sampled of a key.

    Attributes:
        pitch: MIDI pitch.
        strikes: A `Sample` for each velocity.
        release: The `Sample` that sounds when a note of `RELEASE_VELOCITY` is let go.
        release_secs: Nominal length of the sampler's fade at the release.
        decay_db: How much weaker the release is for each second that the key was held.
    """

    pitch: int
    strikes: list
    release: Sample
    release_secs: float
    decay_db: float


def save(model, piano, folder, *, velocities=FULL["velocities"], pitches=PITCHES, seed=0,
         progress=None, channels=None):
    """Writes a piano as an SFZ instrument, whole or not at all.

    Args:
        model: A `PianoDDSP`.
        piano: A `Piano` estimated with it, or the path of a `.piano` file.
        folder: Where to: a new folder for `NAME.sfz` and its samples.
        velocities: MIDI velocities that are sampled, ascending.
        pitches: MIDI pitches that are sampled, ascending; the others are the nearest one,
            shifted.
        seed: Of phases and noise.
        progress: Called with (what, done, total); what it raises ends the work.
        channels: 1 or 2; None is as many as the piano's clip had.

    Returns:
        Path of the `.sfz` file.

    Raises:
        FileExistsError: The folder is there already.
        FileNotFoundError: There is no such piano.
        ValueError: The piano is of other weights.
    """
    piano = estimate.estimate_piano(piano, model=model)
    folder = pathlib.Path(folder)
    if folder.exists():
        raise FileExistsError(f"{str(folder)!r} is there already. Choose another folder.")
    if piano.half_pedal or piano.coupling:
        warnings.warn("Samplers know neither half-pedalling nor strings that ring along, which "
                      "this piano has: it is sampled without.", stacklevel=2)
    with files.folder_written_whole(folder) as partial:
        (partial / SAMPLES).mkdir()
        regions, levels = [], []
        for done, key in enumerate(render(model, piano, velocities, pitches, seed, channels)):
            if progress is not None:
                progress("sampling", done, len(pitches))
            for sample in (*key.strikes, key.release):
                # Each at full scale, so that 16 bits are enough for the softest.
                levels.append(float(np.max(np.abs(sample.samples), initial=1e-9)))
                full = audio_lib.Audio(sample.samples / levels[-1], _rate(model, piano))
                path = partial / SAMPLES / _file_name(sample, sample is key.release)
                path.write_bytes(audio_lib.encode_flac(full))
            regions += _regions(key, velocities, pitches)
        gain_db = PEAK_DB - 20 * math.log10(max(levels))
        lines = [f"{region} volume={20 * math.log10(level) + shift + gain_db:.2f}"
                 for (region, shift), level in zip(regions, levels, strict=True)]
        about = " ".join(f"{piano.name}".split())
        header = HEADER.format(name=about, folder=SAMPLES)
        (partial / f"{folder.name}.sfz").write_text("\n".join([header, *lines, ""]))
    return folder / f"{folder.name}.sfz"


def render(model, piano, velocities, pitches, seed=0, channels=None):
    """Samples a piano, see `save`; yields a `Key` for each pitch."""
    sampler = _Sampler(model, piano, velocities, seed, channels or piano.channels)
    for pitch in pitches:
        yield sampler.key(int(pitch))


def _rate(model, piano):
    return sound_lib.native_rate(model, piano.sample_rate)


class _Sampler:
    """Strikes keys of a piano, each at all velocities."""

    def __init__(self, model, piano, velocities, seed, channels):
        self.model, self.velocities, self.seed = model, velocities, seed
        self.channels = channels
        self.sound = sound_lib.Sound(model, piano, seed, _rate(model, piano), channels)
        self.responses = self.sound.room_responses()

    def key(self, pitch):
        """A `Key`."""
        rate, velocities = self.sound.sample_rate, self.velocities
        key = pitch - piano_roll.LOWEST_PITCH
        controls = self._controls(key, np.array([*velocities, RELEASE_VELOCITY]) / 127)
        damping = _mean_damping(controls)[-1]
        release_secs = float(np.clip(_RELEASE_NEPERS / damping, *_RELEASE_RANGE_SECS))
        secs = max(min(LONGEST_SECS, _ringing_secs(controls)), HELD_SECS) + self.model.room_secs
        held = self._wet(key, controls, net.NEVER_SECS, secs)
        released = {name: value[-1:] for name, value in controls.items()}
        released = self._wet(key, released, HELD_SECS, HELD_SECS + LONGEST_RELEASE_SECS)[0]
        rest = _rest(held[-1], released, release_secs, rate)
        return Key(pitch, [Sample(pitch, velocity, _trimmed(samples, rate))
                           for velocity, samples in zip(velocities, held, strict=False)],
                   Sample(pitch, RELEASE_VELOCITY, _trimmed(rest, rate)), release_secs,
                   _decay_db(held[-1], rate))

    def _controls(self, key, velocity):
        """Controls of lone notes of a key, `[notes, 1, ...]`."""
        model, count = self.model, len(velocity)
        velocity = velocity.astype(np.float32)
        # As the nets see it after silence; before a piece there would be padding.
        roll = np.zeros((count, model.receptive_field_frames + 1, piano_roll.ROLL_DEPTH),
                        np.float32)
        roll[:, -1, key] = roll[:, -1, piano_roll.NUM_KEYS + key] = velocity
        piano = self.sound.arrays
        frames, _ = model.decode_frames(roll, np.repeat(piano["style"][None], count, axis=0))
        controls = sound_lib.note_controls(
            model, piano, np.full((1, count), key, np.int32), velocity[None],
            np.asarray(frames)[None, :, -1], np.zeros((1, count), np.float32), 0.0,
            self.sound.high_hz)
        return {name: np.asarray(value)[0][:, None] for name, value in controls.items()}

    def _wet(self, key, controls, damped_secs, seconds):
        """Notes struck at time 0 and damped in the room, `[notes, samples]` or with channels."""
        sound = self.sound
        nodes, count = math.ceil(seconds / sound.step_secs), len(controls["amplitude"])
        damped = np.array([damped_secs])
        made = []
        for note in range(count):
            mine = {name: value[note] for name, value in controls.items()}
            osc = sound.oscillators(np.array([key]), mine, np.zeros(1), damped)
            # Nodes lie half a step after a strike, on average.
            bursts = {"hammer": mine["noise"], "hammer_secs": np.array([sound.step_secs / 2]),
                      "damper": mine["damper_noise"], "damper_secs": damped}
            dry = sound.dry(osc, bursts, np.zeros((1, self.model.num_bands), np.float32), 0, nodes,
                            self.seed + (1 + key) * _KEY_SEED)
            wet = sound_lib.in_room(dry, self.responses)[:, :dry.shape[1]]
            made.append(sound_lib.to_channels(wet))
        return np.stack(made)


def _rest(held, released, release_secs, rate):
    """What the sampler's fade of a held note lacks of one that was released."""
    start = round(HELD_SECS * rate)
    rest, held = released[start:].copy(), held[start:]
    time = np.arange(len(rest)) / (release_secs * rate)
    floor = math.exp(-_RELEASE_NEPERS)
    fade = np.maximum(np.exp(-_RELEASE_NEPERS * time) - floor, 0) / (1 - floor)
    count = min(len(rest), len(held))
    rest[:count] -= (held[:count].T * fade[:count]).T
    return rest


def _decay_db(held, rate):
    """By how many dB a second a held note falls after `HELD_SECS`."""
    def level(secs):
        part = held[int(secs * rate):int((secs + 0.1) * rate)]
        return 10 * math.log10(np.mean(np.square(part)) + 1e-12)

    later = min(2.0, len(held) / rate - 0.1)
    return max(0.0, (level(HELD_SECS) - level(later)) / (later - HELD_SECS))


def _trimmed(samples, rate):
    """`samples` up to where nothing is heard any more, faded out."""
    block, fade = int(_BLOCK_SECS * rate), int(FADE_SECS * rate)
    power = np.square(samples[:len(samples) // block * block])
    power = np.mean(power.reshape(len(samples) // block, -1), axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (SILENT_DB / 10))
    kept = samples[:(loud[-1] + 1) * block + fade].astype(np.float32)
    kept[-fade:] = (kept[-fade:].T * np.linspace(1, 0, fade, dtype=np.float32)).T
    return kept


def _mean_damping(controls):
    """Decay rate of the damper, as loud partials have it, `[notes]`, nepers/s."""
    power = np.square(controls["amplitude"][:, 0])
    return np.sum(power * controls["damping"][:, 0], axis=1) / (np.sum(power, axis=1) + 1e-20)


def _ringing_secs(controls):
    """How long the longest of the notes rings to `SILENT_DB`."""
    amplitude, decay = controls["amplitude"], controls["aftersound_decay"]
    loudest = np.max(amplitude, axis=-1, keepdims=True)
    nepers = np.log(amplitude / loudest + 1e-12) - SILENT_DB / 20 * math.log(10)
    return float(np.max(np.maximum(nepers, 0) / decay))


def _file_name(sample, is_release):
    kind = "release" if is_release else f"v{sample.velocity:03d}"
    return f"{sample.pitch:03d}_{kind}.flac"


def _regions(key, velocities, pitches):
    """The map's lines for a key, without their volumes, and what these are shifted by, dB."""
    low, high = _key_range(key.pitch, pitches)
    where = f"lokey={low} hikey={high} pitch_keycenter={key.pitch}"
    regions = [(f"<region> sample={_file_name(sample, False)} {where} "
                f"{_crossfade(i, velocities)} group={1 + i % 2} note_polyphony=1 "
                f"note_selfmask=off off_mode=normal ampeg_release={key.release_secs:.4f}", 0.0)
               for i, sample in enumerate(key.strikes)]
    levels = [np.sqrt(np.mean(np.square(sample.samples[:12_000]))) for sample in key.strikes]
    curve = " ".join(f"amp_velcurve_{velocity}={level / levels[-1]:.4f}"
                     for velocity, level in zip(velocities, levels, strict=True))
    at_release = np.interp(RELEASE_VELOCITY, velocities, levels)
    shift = 20 * math.log10(levels[-1] / at_release) + key.decay_db * HELD_SECS
    regions.append((f"<region> sample={_file_name(key.release, True)} {where} trigger=release "
                    f"rt_decay={key.decay_db:.2f} amp_veltrack=100 {curve} amp_velcurve_127=1 "
                    "group=3", shift))
    return regions


def _key_range(pitch, pitches):
    """Lowest and highest pitch that a sample is played for."""
    i = pitches.index(pitch)
    low = PITCHES[0] if i == 0 else (pitches[i - 1] + pitch) // 2 + 1
    return low, PITCHES[-1] if i == len(pitches) - 1 else (pitch + pitches[i + 1]) // 2


def _crossfade(i, velocities):
    """Opcodes by which a sample mixes with those of its neighbouring velocities."""
    below, own = velocities[i - 1] if i else 0, velocities[i]
    fade = f"lovel={max(below, 1)} xfin_lovel={below} xfin_hivel={own}"
    if i == len(velocities) - 1:
        return f"{fade} hivel=127"
    above = velocities[i + 1]
    return f"{fade} hivel={above} xfout_lovel={own} xfout_hivel={above}"
