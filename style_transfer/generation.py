"""Playing notes on an estimated piano, chunk by chunk, in memory that does not grow.

A chunk is computed from closed forms at absolute times, so nothing but the room's tail passes from
one chunk to the next and the result does not depend on where the cuts are.
"""

import functools

import numpy as np
import scipy.signal
from keras import ops

from style_transfer import piano_roll
from style_transfer.models import piano_ddsp
from style_transfer.synthesis import modal

CHUNK_NODES = 192
WINDOW_FRAMES = 1000
NOTE_BATCH = 256
NOISE_BLOCK_NODES = 64
NOISE_SECS = 6.0
INAUDIBLE = 4e-6
TAIL_SECS = 1.5
_PER_PARTIAL = ("frequency_hz", "amplitude", "decay", "aftersound_decay", "aftersound", "beat_hz",
                "damping")


def num_chunks(model, table, chunk_nodes=CHUNK_NODES):
    """How many chunks `play` yields for a note table."""
    seconds = table.end_secs + TAIL_SECS + model.room_secs
    return max(1, int(np.ceil(seconds * model.sample_rate / model.hop / chunk_nodes)))


def play(model, piano, table, seed=0, chunk_nodes=CHUNK_NODES):
    """Plays a note table on a piano.

    Args:
        model: A `PianoDDSP`.
        piano: A `Piano` estimated with it.
        table: A `NoteTable` of any length.
        seed: Seed of phases and noise; one seed gives one waveform.
        chunk_nodes: Nodes (of `model.hop` samples) in a chunk, at most 4095.

    Yields:
        float32 arrays of `chunk_nodes * model.hop` samples at the model's rate, the last one
        included; their concatenation does not depend on `chunk_nodes`.
    """
    player = _Player(model, piano, table, seed)
    response = player.room_response()
    tail = np.zeros(len(response) - 1, np.float32)
    for chunk in range(num_chunks(model, table, chunk_nodes)):
        dry = player.dry(chunk * chunk_nodes, chunk_nodes)
        wet, tail = _in_room(dry, response, tail)
        yield wet


def _in_room(dry, response, tail):
    """A chunk in the room, the chunks before it ringing on in `tail`: the sound, the new tail."""
    wet = scipy.signal.oaconvolve(dry, response).astype(np.float32)
    wet[: len(tail)] += tail
    return wet[: len(dry)], wet[len(dry):]


class _Player:
    """The state of one performance: controls of the notes that may still sound."""

    def __init__(self, model, piano, table, seed):
        self.model, self.piano, self.table, self.seed = model, piano, table, seed
        self.corrections = None
        if piano.corrections:
            self.corrections = {k: np.asarray(v, np.float32) for k, v in piano.corrections.items()}
        self.style = np.asarray(piano.style, np.float32)[None]
        rng = np.random.default_rng([seed, 1])
        shape = (piano_roll.NUM_KEYS, model.num_partials)
        self.phase = rng.uniform(0, 2 * np.pi, shape).astype(np.float32)
        self.frames_per_second = piano_roll.FRAMES_PER_SECOND
        self.next_window = 0
        self.backgrounds = {}
        self.oscillators, self.bursts = None, None

    def room_response(self):
        correction = 0.0 if self.corrections is None else self.corrections["room"]
        level, decay = self.model.room_controls(self.style, correction)
        response = modal.room_response(level, decay, self.model.room_noise, self.model.sample_rate)
        return ops.convert_to_numpy(response)[0]

    def dry(self, first_node, num_nodes):
        """Dry samples of the nodes from `first_node` on."""
        model = self.model
        node_secs64 = (first_node + np.arange(num_nodes + 1)) * (model.hop / model.sample_rate)
        start = node_secs64[0]
        frame = (node_secs64 * self.frames_per_second + 1e-6).astype(int)
        while self.next_window * WINDOW_FRAMES <= frame[-1]:
            self._decode_window()
        self._forget(start, frame[0] // WINDOW_FRAMES)
        node_secs = (node_secs64 - start).astype(np.float32)
        tone = self._tone(first_node, start, node_secs)
        power = self._background(frame) + self._burst_power(start, node_secs)
        noise = self._white_noise(first_node, num_nodes + 1)
        hiss = modal.filtered_noise(ops.convert_to_tensor(noise), power, piano_ddsp.LOW_HZ,
                                    piano_ddsp.HIGH_HZ, model.sample_rate)
        return tone + ops.convert_to_numpy(hiss)[0]

    def _tone(self, first_node, start, node_secs):
        model, osc = self.model, self.oscillators
        sounding = osc["onset"] < start + node_secs[-1]
        if not sounding.any():
            return np.zeros((len(node_secs) - 1) * model.hop, np.float32)
        osc = {name: value[sounding] for name, value in osc.items()}
        # The phase at the chunk's start, from the very float32 increment that runs inside it.
        step = (osc["frequency_hz"] * np.float32(model.hop / model.sample_rate)).astype(np.float64)
        phase = osc["phase"] + 2 * np.pi * np.mod(step * first_node, 1.0)
        secs = {name: (osc[name] - start).astype(np.float32)[None] for name in ("onset", "damped")}
        rest = {name: ops.convert_to_tensor(osc[name][None]) for name in
                (*_PER_PARTIAL, "attack_secs")}
        real, imaginary = modal.partial_envelopes(
            ops.convert_to_tensor(node_secs), secs["onset"], secs["damped"], rest["amplitude"],
            rest["decay"], rest["aftersound_decay"], rest["aftersound"], rest["beat_hz"],
            rest["attack_secs"], rest["damping"])
        phase = np.mod(phase, 2 * np.pi).astype(np.float32)[None]
        return ops.convert_to_numpy(modal.oscillator_sum(
            rest["frequency_hz"], real, imaginary, phase, model.hop, model.sample_rate))[0]

    def _burst_power(self, start, node_secs):
        bursts = self.bursts
        power = 0.0
        for weights, times in (("noise", "onset"), ("damper_noise", "damped")):
            secs = bursts[times] - start
            near = (secs < node_secs[-1]) & (secs > -NOISE_SECS)
            if near.any():
                power = power + modal.noise_powers(
                    ops.convert_to_tensor(node_secs), secs[near].astype(np.float32)[None],
                    bursts[weights][near][None])
        return power

    def _background(self, frame):
        window, inside = np.divmod(frame, WINDOW_FRAMES)
        return np.exp(np.stack([self.backgrounds[w][i] for w, i in zip(window, inside, strict=True)
                                ]))[None]

    def _white_noise(self, first_node, count):
        """Noise frames that depend on the node only, `[1, count, 2 * hop]`."""
        first = first_node // NOISE_BLOCK_NODES
        last = (first_node + count - 1) // NOISE_BLOCK_NODES
        blocks = np.concatenate([_noise_block(self.seed, b, 2 * self.model.hop)
                                 for b in range(first, last + 1)])
        skip = first_node - first * NOISE_BLOCK_NODES
        return blocks[skip: skip + count][None]

    def _decode_window(self):
        """Runs the nets over the next window of frames and the notes struck in it."""
        model, window = self.model, self.next_window
        first = window * WINDOW_FRAMES
        # Frames that the causal nets look back on; before the piece there is only padding.
        before = min(first, model.receptive_field_frames)
        roll = piano_roll.roll(self.table, (first - before) / self.frames_per_second,
                               before + WINDOW_FRAMES)
        frames, background = model.decode_frames(roll[None], self.style)
        self.backgrounds[window] = ops.convert_to_numpy(background)[0, before:]
        frames = ops.convert_to_numpy(frames)[0, before:]
        self.next_window += 1
        frame = np.floor(self.table.onset_secs * self.frames_per_second + 1e-4).astype(int)
        rows = np.flatnonzero((frame >= first) & (frame < first + WINDOW_FRAMES))
        for i in range(0, max(len(rows), 1), NOTE_BATCH):
            some = rows[i: i + NOTE_BATCH]
            self._add_notes(some, frames[frame[some] - first])

    def _add_notes(self, rows, context):
        model, table = self.model, self.table
        key, velocity = table.key[rows][None], table.velocity[rows][None]
        # A keyboard without notes still needs the arrays' shapes.
        outputs = model.note_outputs(key, velocity, context[None], self.style)
        if self.corrections is not None:
            outputs = outputs + piano_ddsp.correct(self.corrections, key, velocity)
        controls = model.note_controls(outputs, key, ops.convert_to_tensor(velocity),
                                       self.piano.f0_hz[None].astype(np.float32),
                                       self.piano.inharmonicity[None].astype(np.float32))
        controls = {name: ops.convert_to_numpy(value)[0] for name, value in controls.items()}
        onset, damped = table.onset_secs[rows], table.damped_secs[rows]
        shape = controls["amplitude"].shape
        heard = controls["amplitude"] > INAUDIBLE
        flat = {name: controls[name][heard] for name in _PER_PARTIAL}
        per_note = {"attack_secs": controls["attack_secs"], "onset": onset, "damped": damped}
        flat |= {name: np.broadcast_to(value[:, None], shape)[heard]
                 for name, value in per_note.items()}
        flat["phase"] = self.phase[table.key[rows]][heard]
        flat["end"] = _end_secs(flat)
        bursts = {"onset": onset, "damped": damped, "noise": controls["noise"],
                  "damper_noise": controls["damper_noise"]}
        self.oscillators = _joined(self.oscillators, flat)
        self.bursts = _joined(self.bursts, bursts)

    def _forget(self, start, window):
        """Drops what can no longer be heard after `start`, and windows before `window`."""
        self.backgrounds = {w: value for w, value in self.backgrounds.items() if w >= window}
        alive = self.oscillators["end"] > start
        self.oscillators = {name: value[alive] for name, value in self.oscillators.items()}
        near = self.bursts["damped"] > start - NOISE_SECS
        self.bursts = {name: value[near] for name, value in self.bursts.items()}


def _end_secs(osc):
    """When each oscillator falls below what can be heard."""
    nepers = np.log(osc["amplitude"] / INAUDIBLE).astype(np.float64)
    slow, held = osc["aftersound_decay"], osc["damped"] - osc["onset"]
    rings_out = osc["onset"] + nepers / slow
    is_damped = osc["damped"] + (nepers - slow * held) / (slow + osc["damping"])
    return np.where(slow * held > nepers, rings_out, is_damped)


def _joined(old, new):
    if old is None:
        return new
    return {name: np.concatenate([old[name], new[name]]) for name in new}


@functools.lru_cache(maxsize=16)
def _noise_block(seed, block, size):
    rng = np.random.default_rng([seed, 2, block])
    return rng.standard_normal((NOISE_BLOCK_NODES, size), dtype=np.float32)
