"""What notes on an estimated piano sound like: controls of notes to samples.

In stereo a side is added to what is played in mono, see `measure.stereo`. Above the rate of the
nets all is synthesized at the rate asked for, with what the clip has beyond them, see
`measure.high_band`.
"""

import functools

import numpy as np
import scipy.signal
from keras import ops

from style_transfer import piano_roll
from style_transfer.measure import high_band, stereo
from style_transfer.models.piano_ddsp import net as piano_ddsp
from style_transfer.signal import mel
from style_transfer.synthesis import fast_modal, modal, sympathetic, una_corda, white_noise

NOISE_BLOCK_NODES = 64
NOISE_SECS = 6.0
# Above the nets, noise dies away within 0.1 s: what they give longer is the clip's steady noise.
HIGH_CONSTANTS = 4
INAUDIBLE = 4e-6
_SIDE_SEED = 1 << 40  # added to the seed of the noise of the side
PER_PARTIAL = ("frequency_hz", "amplitude", "decay", "aftersound_decay", "aftersound", "beat_hz",
                "damping")


def native_rate(model, sample_rate):
    """The rate at which a piece is synthesized that is asked for at a rate, Hz."""
    return max(model.sample_rate, sample_rate or 0)


def native_hop(model, sample_rate):
    """Samples between nodes at that rate: as long as at the model's, to half a sample."""
    return round(model.hop * native_rate(model, sample_rate) / model.sample_rate)


def initial_phases(model, seed):
    """Phases of the partials of all keys at time 0, float32 `[88, partials]`."""
    rng = np.random.default_rng([seed, 1])
    shape = (piano_roll.NUM_KEYS, model.num_partials)
    return rng.uniform(0, 2 * np.pi, shape).astype(np.float32)


def note_controls(model, piano, key, velocity, context, soft, soft_pedal_db=una_corda.DEFAULT_DB,
                  high_hz=piano_ddsp.HIGH_HZ):
    """Controls of notes on a piano, its corrections and the soft pedal applied.

    Args:
        model: A `PianoDDSP`.
        piano: Dict of `style` `[style_size]`, `f0_hz` and `inharmonicity` `[88]`, float32, and,
            if it was adapted, `by_key` and `by_velocity`.
        key: int32 `[batch, notes]`.
        velocity: `[batch, notes]`.
        context: From `model.decode_frames`, at the notes' onsets.
        soft: Position of the soft pedal at the notes' onsets, `[batch, notes]`.
        soft_pedal_db: See `una_corda.soften`.
        high_hz: See `model.note_controls`.

    Returns:
        Dict as `model.note_controls`.
    """
    outputs = model.note_outputs(key, velocity, context, piano["style"][None])
    if "by_key" in piano:
        outputs = outputs + piano_ddsp.correct(piano, key, velocity)
    controls = model.note_controls(outputs, key, ops.convert_to_tensor(velocity),
                                   piano["f0_hz"][None], piano["inharmonicity"][None], high_hz)
    return una_corda.soften(controls, soft, soft_pedal_db) if soft_pedal_db else controls


def bursting(bursts, start, end, xp=np):
    """Powers of the noise bursts near a chunk and their times from its start, by name."""
    found = {}
    for kind in ("hammer", "damper"):
        secs = bursts[f"{kind}_secs"]
        near = (secs < end) & (secs > start - NOISE_SECS)
        found |= {kind: bursts[kind][near],
                  f"{kind}_secs": xp.asarray(secs[near] - start, np.float32)}
    return found


class Sound:
    """Turns controls of a piano's notes into samples: the middle, and the side in stereo.

    Args:
        model: A `PianoDDSP`.
        piano: A `Piano` estimated with it.
        seed: Seed of phases and noise.
        sample_rate: Hz, the model's rate or above; None is the model's.
        channels: 1 or 2.

    Attributes:
        arrays: The piano's arrays as `note_controls` takes them.
        step_secs: From node to node.
        high_hz: Where what is played ends.
        clock: The `dampers.Clock` of what is played, or None.
    """

    def __init__(self, model, piano, seed=0, sample_rate=None, channels=1, clock=None):
        self.model, self.seed, self.clock = model, seed, clock
        self.sample_rate = native_rate(model, sample_rate)
        self.hop = native_hop(model, sample_rate)
        self.bank = fast_modal.OscillatorBank(self.hop, self.sample_rate)
        self.step_secs = self.bank.step_secs
        arrays = {"style": piano.style, "f0_hz": piano.f0_hz,
                  "inharmonicity": piano.inharmonicity, **(piano.corrections or {})}
        self.arrays = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        self.image = (piano.image or stereo.default_image()) if channels == 2 else None
        self.high_band_db, self.high_hz = piano.high_band_db, piano_ddsp.HIGH_HZ
        if self.sample_rate > model.sample_rate and len(piano.high_band_db):
            self.high_hz = high_band.TOP_HZ
        self.phase = initial_phases(model, seed)
        self.sign = np.random.default_rng([seed, 3]).choice(
            np.array([-1, 1], np.float32), self.phase.shape)
        self._prepare_noise()

    def oscillators(self, key, controls, onset, damped, follows=None):
        """What can be heard of notes, as `fast_modal.OscillatorBank` takes it.

        Args:
            key: `[notes]`.
            controls: From `note_controls`, without batch, NumPy arrays.
            onset: Seconds, `[notes]`.
            damped: Seconds, `[notes]`; of the clock where a note follows it.
            follows: Whether notes do, bool `[notes]`; needed if there is a clock.
        """
        amplitude = controls["amplitude"]
        if self.high_hz > piano_ddsp.HIGH_HZ:
            amplitude = amplitude * np.sqrt(high_band.gains(
                self.high_band_db, controls["frequency_hz"]))
        heard = amplitude > INAUDIBLE
        flat = {name: controls[name][heard] for name in PER_PARTIAL}
        flat["amplitude"] = amplitude[heard]
        row, partial = np.nonzero(heard)
        flat |= {"attack_secs": controls["attack_secs"][row], "onset": onset[row],
                 "damped": damped[row], "key": key[row], "partial": partial, "note": row}
        return self._placed(flat, None if follows is None else follows[row])

    def answers(self, struck, damped, strings, openings, coupling):
        """What strings that nobody struck add to `oscillators`, see `sympathetic.answers`.

        Args:
            struck: From `oscillators`.
            damped: Of the notes struck, seconds, `[notes]`.
            strings: `sympathetic.Strings`.
            openings: `sympathetic.Openings`.
            coupling: See there.
        """
        struck = {**struck, "until": damped[struck["note"]]}
        return self._placed(sympathetic.answers(struck, strings, openings, coupling, INAUDIBLE))

    def _placed(self, flat, follows=None):
        """Oscillators with phases, bins, ends and, in stereo, gains of the side."""
        key, partial = flat["key"], flat["partial"]
        flat["phase"] = self.phase[key, partial]
        flat["end"] = end_secs(flat)
        if self.clock is not None:
            flat["follows"] = np.zeros(len(key), bool) if follows is None else follows
            flat["end"] = np.where(flat["follows"], self._end_by_clock(flat), flat["end"])
        flat["bins"], flat["weights"] = self.bank.bins(flat["frequency_hz"])
        if self.image is not None:
            flat["side"] = self.image.partials(key, flat["frequency_hz"], self.sign[key, partial])
        return flat

    def _end_by_clock(self, flat):
        """When each can no longer be heard, if its damper is the clock's; at the latest."""
        nepers = np.log(np.asarray(flat["amplitude"], float) / INAUDIBLE)
        rings_out = flat["onset"] + nepers / flat["aftersound_decay"]
        return np.minimum(rings_out, self.clock.when(flat["damped"] + nepers / flat["damping"]))

    def dry(self, oscillators, bursts, background, first_node, num_nodes, noise_seed=None):
        """Samples without the room, float32 `[sums, num_nodes * hop]`.

        Args:
            oscillators: From `oscillators`.
            bursts: Dict of `hammer` and `damper`, powers `[notes, bands, constants]`, and
                `hammer_secs` and `damper_secs`, `[notes]`.
            background: Power of steady noise at the nodes, `[num_nodes + 1, bands]`.
            first_node: The first node.
            num_nodes: How many hops.
            noise_seed: Seed of the noise; None is the piano's.
        """
        node_secs = (first_node + np.arange(num_nodes + 1)) * self.step_secs
        near = bursting(bursts, node_secs[0], node_secs[-1])

        def blows(some):
            return sum(fast_modal.burst_powers(node_secs - node_secs[0], near[f"{kind}_secs"],
                                               near[kind][some]) for kind in ("hammer", "damper"))

        power = (background + blows(slice(None))) @ self._bins
        if self._high_bins is not None:
            power += blows((slice(None), slice(-1, None), slice(HIGH_CONSTANTS))) @ self._high_bins
        power = power * self._sums_of_noise
        seed = self.seed if noise_seed is None else noise_seed
        noise = np.stack([self._white_noise(seed + i * _SIDE_SEED, first_node, num_nodes + 1)
                          for i in range(len(power))])
        return (self.bank.sum(oscillators, first_node, num_nodes, self.clock)
                + fast_modal.shaped_noise(noise, power))

    def room_responses(self):
        """Impulse responses from the middle to the middle and to the side, `[sums, taps]`."""
        model, rate = self.model, self.sample_rate
        level, decay = model.room_controls(self.arrays["style"][None],
                                           self.arrays.get("room", 0.0))
        noises = [model.room_noise_at(rate)]
        if self.image is not None:
            noises.append(model.room_noise_at(rate, 1) * self._room_ambience())
        found = [ops.convert_to_numpy(modal.room_response(level, decay, noise, rate))[0]
                 for noise in noises]
        for side in found[1:]:
            side[0] = 0  # the direct sound
        return np.stack(found)

    def _room_ambience(self):
        hz = mel.spaced_hz(piano_ddsp.LOW_HZ, piano_ddsp.HIGH_HZ, piano_ddsp.NUM_ROOM_BANDS)
        return np.sqrt(self.image.ambience_at(hz))[:, None]

    def _prepare_noise(self):
        """What a band's power is at bins, and of that in the middle and to the side."""
        rate, model = self.sample_rate, self.model
        hz = np.arange(self.hop + 1) * (rate / (2 * self.hop))
        bins = modal.bin_weights(2 * self.hop, model.num_bands, piano_ddsp.LOW_HZ,
                                 piano_ddsp.HIGH_HZ, rate)
        self._bins, self._high_bins = bins, None
        if rate > model.sample_rate:
            bins = bins * np.float32(rate / model.sample_rate)  # densities are of the model's rate
            self._bins = bins * (hz <= piano_ddsp.HIGH_HZ)
            if self.high_hz > piano_ddsp.HIGH_HZ:
                self._high_bins = (bins * high_band.gains(self.high_band_db, hz)
                                   * (hz > piano_ddsp.HIGH_HZ))[-1:]
        sums = [np.ones_like(bins[0])]
        sums += [self.image.ambience_at(hz)] if self.image else []
        self._sums_of_noise = np.stack(sums)[:, None]

    def _white_noise(self, seed, first_node, count):
        """Noise frames that depend on the node only, `[count, 2 * hop]`."""
        first = first_node // NOISE_BLOCK_NODES
        last = (first_node + count - 1) // NOISE_BLOCK_NODES
        blocks = np.concatenate([_noise_block(seed, b, 2 * self.hop)
                                 for b in range(first, last + 1)])
        skip = first_node - first * NOISE_BLOCK_NODES
        return blocks[skip: skip + count]


def end_secs(osc, xp=np):
    """When each oscillator falls below what can be heard."""
    amplitude, slow, damping = (xp.asarray(osc[name], float) for name in
                                ("amplitude", "aftersound_decay", "damping"))
    nepers, held = xp.log(amplitude / INAUDIBLE), osc["damped"] - osc["onset"]
    rings_out = osc["onset"] + nepers / slow
    is_damped = osc["damped"] + (nepers - slow * held) / (slow + damping)
    return xp.where(slow * held > nepers, rings_out, is_damped)


def in_room(dry, responses):
    """The middle in the room, and to the side, if there is one, what the room adds to it.

    Args:
        dry: `[sums, samples]`.
        responses: From `Sound.room_responses`, `[sums, taps]`.

    Returns:
        float32 `[sums, samples + taps - 1]`.
    """
    wet = scipy.signal.oaconvolve(dry[:1], responses, axes=1).astype(np.float32)
    wet[1:, : dry.shape[1]] += dry[1:]
    return wet


def to_channels(sums):
    """Samples `[samples]` of the middle alone, `[samples, 2]` of middle and side."""
    if len(sums) == 1:
        return sums[0]
    return np.stack([sums[0] + sums[1], sums[0] - sums[1]], axis=-1)


@functools.lru_cache(maxsize=128)
def _noise_block(seed, block, size):
    return white_noise.block(seed, block, (NOISE_BLOCK_NODES, size))
