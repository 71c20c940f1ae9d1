"""Playing notes on an estimated piano, chunk by chunk, in memory that does not grow.

A chunk is computed from closed forms at absolute times, so nothing but the room's tail passes from
one chunk to the next and the result does not depend on where the cuts are.
"""

import dataclasses
import functools

import keras
import numpy as np
import scipy.signal
from keras import ops

from style_transfer import piano_roll
from style_transfer.models.piano_ddsp import net as piano_ddsp
from style_transfer.synthesis import modal, una_corda, white_noise

CHUNK_NODES = 192
WINDOW_FRAMES = 1000
NOTE_BATCH = 256
OSCILLATOR_STEP, NOTE_STEP = 1024, 64
NOISE_BLOCK_NODES = 64
NOISE_SECS = 6.0
INAUDIBLE = 4e-6
_SOFTEST = 1 / 127
# How far a piece is moved towards what was heard: all the way is better where the transcriber heard
# too much and the piece is struck as the clip is, not at all where it is struck harder or softer.
HEARD_SHARE = 0.5
TAIL_SECS = 1.5
PER_PARTIAL = ("frequency_hz", "amplitude", "decay", "aftersound_decay", "aftersound", "beat_hz",
                "damping")
_PACKED = (*PER_PARTIAL, "attack_secs", "onset", "damped", "phase")


class Chunk(keras.Model):
    """What sounds in a chunk, compiled.

    Eager TensorFlow on Python 3.11 and later leaks some hundred bytes each time that a number or an
    array goes in (tensorflow issues 62551 and 68196), hence few inputs, and of few shapes, since
    each new shape costs memory too.
    """

    def __init__(self, hop, sample_rate):
        super().__init__(name="chunk")
        self.hop, self.sample_rate = hop, sample_rate

    def call(self, inputs):
        """Dry audio `[1, samples]` of packed oscillators, noise bursts and steady noise."""
        node_secs = inputs["node_secs"]
        packed = ops.unstack(inputs["oscillators"], len(_PACKED), axis=1)
        osc = dict(zip(_PACKED, packed, strict=True))
        real, imaginary = modal.partial_envelopes(
            node_secs, osc["onset"], osc["damped"], osc["amplitude"], osc["decay"],
            osc["aftersound_decay"], osc["aftersound"], osc["beat_hz"], osc["attack_secs"],
            osc["damping"])
        tone = modal.oscillator_sum(osc["frequency_hz"], real, imaginary, osc["phase"], self.hop,
                                    self.sample_rate)
        power = (inputs["background"]
                 + modal.noise_powers(node_secs, inputs["hammer_secs"], inputs["hammer"])
                 + modal.noise_powers(node_secs, inputs["damper_secs"], inputs["damper"]))
        return tone + modal.filtered_noise(inputs["noise"], power, piano_ddsp.LOW_HZ,
                                           piano_ddsp.HIGH_HZ, self.sample_rate)


@functools.lru_cache(maxsize=2)
def _chunk(hop, sample_rate):
    """A `Chunk`; kept, since compiling it takes longer than many chunks."""
    return Chunk(hop, sample_rate)


def num_chunks(model, table, chunk_nodes=CHUNK_NODES):
    """How many chunks `play` yields for a note table."""
    return int(chunks_until(model, table.end_secs, chunk_nodes))


def chunks_until(model, end_secs, chunk_nodes, xp=np):
    """How many chunks it takes until all has rung out, if the last damper falls at `end_secs`."""
    seconds = end_secs + TAIL_SECS + model.room_secs
    return xp.maximum(xp.ceil(seconds * model.sample_rate / model.hop / chunk_nodes), 1.0)


def initial_phases(model, seed):
    """Phases of the partials of all keys at time 0, float32 `[88, partials]`."""
    rng = np.random.default_rng([seed, 1])
    shape = (piano_roll.NUM_KEYS, model.num_partials)
    return rng.uniform(0, 2 * np.pi, shape).astype(np.float32)


def note_controls(model, piano, key, velocity, context, soft, soft_pedal_db=una_corda.DEFAULT_DB):
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

    Returns:
        Dict as `model.note_controls`.
    """
    outputs = model.note_outputs(key, velocity, context, piano["style"][None])
    if "by_key" in piano:
        outputs = outputs + piano_ddsp.correct(piano, key, velocity)
    controls = model.note_controls(outputs, key, ops.convert_to_tensor(velocity),
                                   piano["f0_hz"][None], piano["inharmonicity"][None])
    return una_corda.soften(controls, soft, soft_pedal_db) if soft_pedal_db else controls


def packed(osc, start, phase_at_zero, first_node, step_secs, xp=np):
    """Oscillators of a chunk as `Chunk` takes them, float32 `[len(_PACKED), oscillators]`.

    Args:
        osc: Dict of `PER_PARTIAL`, `attack_secs`, `onset` and `damped`, `[oscillators]`.
        start: When the chunk begins, seconds.
        phase_at_zero: Phases at time 0, `[oscillators]`.
        first_node: Its first node.
        step_secs: From node to node.
        xp: See `arrays`.
    """
    # The phase at the chunk's start, from the very float32 increment that runs inside it.
    turns = xp.asarray(osc["frequency_hz"] * np.float32(step_secs), float)
    turns = xp.mod(turns * xp.asarray(first_node, float), 1.0)
    phase = xp.mod(xp.asarray(phase_at_zero, float) + 2 * np.pi * turns, 2 * np.pi)
    osc = {**osc, "onset": osc["onset"] - start, "damped": osc["damped"] - start, "phase": phase}
    return xp.stack([xp.asarray(osc[name], np.float32) for name in _PACKED])


def bursting(bursts, start, end, xp=np):
    """Powers of the noise bursts near a chunk and their times from its start, by name."""
    found = {}
    for kind in ("hammer", "damper"):
        secs = bursts[f"{kind}_secs"]
        near = (secs < end) & (secs > start - NOISE_SECS)
        found |= {kind: bursts[kind][near],
                  f"{kind}_secs": xp.asarray(secs[near] - start, np.float32)}
    return found


def as_heard(velocity, heard_velocity, xp=np):
    """Velocities of a piece, nearer to the scale on which those of the style clip were heard.

    Args:
        velocity: `[num_notes]`, 0 to 1.
        heard_velocity: See `Piano`; 0 changes nothing.
        xp: See `arrays`.

    Returns:
        float32 `[num_notes]`, all moved alike, their mean `HEARD_SHARE` of the way to the heard.
    """
    moved = xp.clip(velocity + HEARD_SHARE * (heard_velocity - xp.mean(velocity)), _SOFTEST, 1.0)
    return xp.asarray(xp.where(heard_velocity > 0, moved, velocity), np.float32)


def play(model, piano, table, seed=0, chunk_nodes=CHUNK_NODES, soft_pedal_db=una_corda.DEFAULT_DB):
    """Plays a note table on a piano.

    Args:
        model: A `PianoDDSP`.
        piano: A `Piano` estimated with it.
        table: A `NoteTable` of any length.
        seed: Seed of phases and noise; one seed gives one waveform.
        chunk_nodes: Nodes (of `model.hop` samples) in a chunk, at most 4095.
        soft_pedal_db: See `una_corda.soften`; 0 leaves the soft pedal to the nets.

    Yields:
        float32 arrays of `chunk_nodes * model.hop` samples at the model's rate, the last one
        included; their concatenation does not depend on `chunk_nodes`.
    """
    player = _Player(model, piano, table, seed, soft_pedal_db)
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

    def __init__(self, model, piano, table, seed, soft_pedal_db=0.0):
        una_corda.check(soft_pedal_db)
        self.soft_pedal_db = soft_pedal_db
        self.model, self.seed = model, seed
        self.table = dataclasses.replace(
            table, velocity=as_heard(table.velocity, piano.heard_velocity)) if len(table) else table
        arrays = {"style": piano.style, "f0_hz": piano.f0_hz,
                  "inharmonicity": piano.inharmonicity, **(piano.corrections or {})}
        self.piano = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        self.style = self.piano["style"][None]
        self.phase = initial_phases(model, seed)
        self.frames_per_second = piano_roll.FRAMES_PER_SECOND
        self.next_window = 0
        self.backgrounds = {}
        self.oscillators, self.bursts = None, None

    def room_response(self):
        level, decay = self.model.room_controls(self.style, self.piano.get("room", 0.0))
        response = modal.room_response(level, decay, self.model.room_noise, self.model.sample_rate)
        return ops.convert_to_numpy(response)[0]

    def dry(self, first_node, num_nodes):
        """Dry samples of the nodes from `first_node` on."""
        model = self.model
        node_secs64 = (first_node + np.arange(num_nodes + 1)) * (model.hop / model.sample_rate)
        start = node_secs64[0]
        frame = piano_roll.frame_of(node_secs64, self.frames_per_second).astype(int)
        while self.next_window * WINDOW_FRAMES <= frame[-1]:
            self._decode_window()
        self._forget(start, frame[0] // WINDOW_FRAMES)
        return self._sound({
            "node_secs": (node_secs64 - start).astype(np.float32),
            "oscillators": self._sounding(first_node, start, node_secs64[-1]),
            **self._bursting(start, node_secs64[-1]),
            "background": self._background(frame),
            "noise": self._white_noise(first_node, num_nodes + 1)})

    def _sound(self, inputs):
        chunk = _chunk(self.model.hop, self.model.sample_rate)
        return np.asarray(chunk.predict_on_batch(inputs))[0]

    def _sounding(self, first_node, start, end):
        """Controls and phases of what sounds in a chunk, `[1, len(_PACKED), oscillators]`."""
        begun = self.oscillators["onset"] < end
        osc = {name: value[begun] for name, value in self.oscillators.items()}
        found = packed(osc, start, osc["phase"], first_node,
                       self.model.hop / self.model.sample_rate)
        # What fills up is silent; its attack takes a second, since one of 0 s divides by 0.
        silent = np.array([[name == "attack_secs"] for name in _PACKED], np.float32)
        return _filled(found, OSCILLATOR_STEP, silent)[None]

    def _bursting(self, start, end):
        """As `bursting`, filled up."""
        found = bursting(self.bursts, start, end)
        return {name: _filled(value, NOTE_STEP, piano_ddsp.NEVER_SECS)[None] if value.ndim == 1
                else np.moveaxis(_filled(np.moveaxis(value, 0, -1), NOTE_STEP, 0.0), -1, 0)[None]
                for name, value in found.items()}

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
        frame = piano_roll.frame_of(self.table.onset_secs, self.frames_per_second).astype(int)
        rows = np.flatnonzero((frame >= first) & (frame < first + WINDOW_FRAMES))
        for i in range(0, max(len(rows), 1), NOTE_BATCH):
            some = rows[i: i + NOTE_BATCH]
            self._add_notes(some, frames[frame[some] - first])

    def _add_notes(self, rows, context):
        table = self.table
        key = _filled(table.key[rows], NOTE_STEP, 0)[None]
        velocity = _filled(table.velocity[rows], NOTE_STEP, 0.0)[None]
        context = np.moveaxis(_filled(np.moveaxis(context, 0, -1), NOTE_STEP, 0.0), -1, 0)[None]
        soft = table.pedals.at(table.onset_secs[rows])[:, piano_roll.SOFT]
        controls = note_controls(self.model, self.piano, key, velocity, context,
                                 _filled(soft, NOTE_STEP, 0.0)[None], self.soft_pedal_db)
        controls = {name: ops.convert_to_numpy(value)[0, :len(rows)]
                    for name, value in controls.items()}
        onset, damped = table.onset_secs[rows], table.damped_secs[rows]
        shape = controls["amplitude"].shape
        heard = controls["amplitude"] > INAUDIBLE
        flat = {name: controls[name][heard] for name in PER_PARTIAL}
        per_note = {"attack_secs": controls["attack_secs"], "onset": onset, "damped": damped}
        flat |= {name: np.broadcast_to(value[:, None], shape)[heard]
                 for name, value in per_note.items()}
        flat["phase"] = self.phase[table.key[rows]][heard]
        flat["end"] = end_secs(flat)
        bursts = {"hammer": controls["noise"], "hammer_secs": onset,
                  "damper": controls["damper_noise"], "damper_secs": damped}
        self.oscillators = _joined(self.oscillators, flat)
        self.bursts = _joined(self.bursts, bursts)

    def _forget(self, start, window):
        """Drops what can no longer be heard after `start`, and windows before `window`."""
        self.backgrounds = {w: value for w, value in self.backgrounds.items() if w >= window}
        alive = self.oscillators["end"] > start
        self.oscillators = {name: value[alive] for name, value in self.oscillators.items()}
        near = self.bursts["damper_secs"] > start - NOISE_SECS
        self.bursts = {name: value[near] for name, value in self.bursts.items()}


def end_secs(osc, xp=np):
    """When each oscillator falls below what can be heard."""
    amplitude, slow, damping = (xp.asarray(osc[name], float) for name in
                                ("amplitude", "aftersound_decay", "damping"))
    nepers, held = xp.log(amplitude / INAUDIBLE), osc["damped"] - osc["onset"]
    rings_out = osc["onset"] + nepers / slow
    is_damped = osc["damped"] + (nepers - slow * held) / (slow + damping)
    return xp.where(slow * held > nepers, rings_out, is_damped)


def _filled(values, step, fill):
    """Values with the last axis filled up to a multiple of `step`, at least one."""
    size = max(1, -(-values.shape[-1] // step)) * step
    rest = np.broadcast_to(np.asarray(fill, values.dtype),
                           (*values.shape[:-1], size - values.shape[-1]))
    return np.concatenate([values, rest], axis=-1)


def _joined(old, new):
    if old is None:
        return new
    return {name: np.concatenate([old[name], new[name]]) for name in new}


@functools.lru_cache(maxsize=16)
def _noise_block(seed, block, size):
    return white_noise.block(seed, block, (NOISE_BLOCK_NODES, size))


def played(model, piano, table, seed=0, progress=None, soft_pedal_db=una_corda.DEFAULT_DB):
    """Chunks of the piece at the model's rate; `progress` is told the seconds."""
    total = num_chunks(model, table)
    for i, chunk in enumerate(play(model, piano, table, seed, soft_pedal_db=soft_pedal_db)):
        yield chunk
        if progress is not None:
            seconds = len(chunk) / model.sample_rate
            progress("playing", (i + 1) * seconds, total * seconds)
