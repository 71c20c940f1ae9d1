"""Playing notes on an estimated piano, chunk by chunk, in memory that does not grow.

A chunk is computed from closed forms at absolute times, so nothing but the room's tail passes from
one chunk to the next and the result does not depend on where the cuts are.
"""

import numpy as np
from keras import ops

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.models.piano_ddsp import frames as frames_lib
from style_transfer.models.piano_ddsp import sound as sound_lib
from style_transfer.synthesis import dampers, sympathetic

CHUNK_NODES = 192
WINDOW_FRAMES = 1000
NOTE_BATCH = 256
NOTE_STEP = 64
TAIL_SECS = 1.5
FREE_VELOCITY = 0.5  # at which strings that nobody strikes are asked for their decays
_NOT_SUMMED = ("key", "partial", "note")


def num_chunks(model, table, chunk_nodes=CHUNK_NODES, sample_rate=None):
    """How many chunks `play` yields for a note table."""
    return int(chunks_until(model, table.end_secs, chunk_nodes, sample_rate=sample_rate))


def chunks_until(model, end_secs, chunk_nodes, xp=np, sample_rate=None):
    """How many chunks it takes until all has rung out, if the last damper falls at `end_secs`."""
    seconds = end_secs + TAIL_SECS + model.room_secs
    hops_per_second = (sound_lib.native_rate(model, sample_rate)
                       / sound_lib.native_hop(model, sample_rate))
    return xp.maximum(xp.ceil(seconds * hops_per_second / chunk_nodes), 1.0)


def play(model, piano, table, seed=0, chunk_nodes=CHUNK_NODES, sample_rate=None, channels=1):
    """Plays a note table on a piano.

    Args:
        model: A `PianoDDSP`.
        piano: A `Piano` estimated with it.
        table: A `NoteTable` of any length.
        seed: Seed of phases and noise; one seed gives one waveform.
        chunk_nodes: Nodes (of `model.hop` samples at the model's rate) in a chunk, at most 4095.
        sample_rate: Hz, the model's rate or above; None is the model's.
        channels: 1 or 2; 2 is left and right, whose mean is what 1 gives.

    Yields:
        float32 arrays of `chunk_nodes` hops of samples, the last one included; `[samples]`, or
        `[samples, 2]`. Their concatenation does not depend on `chunk_nodes`.
    """
    player = _Player(model, piano, table, seed, sample_rate, channels)
    responses = player.sound.room_responses()
    tails = np.zeros((len(responses), responses.shape[1] - 1), np.float32)
    for chunk in range(num_chunks(model, table, chunk_nodes, sample_rate)):
        wet, tails = _in_room(player.dry(chunk * chunk_nodes, chunk_nodes), responses, tails)
        yield sound_lib.to_channels(wet)


def _in_room(dry, responses, tails):
    """A chunk in the room, the chunks before it ringing on in `tails`: the sound, the new tails."""
    wet = sound_lib.in_room(dry, responses)
    wet[:, : tails.shape[1]] += tails
    return wet[:, : dry.shape[1]], wet[:, dry.shape[1]:]


class _Player:
    """The state of one performance: controls of the notes that may still sound."""

    def __init__(self, model, piano, table, seed, sample_rate=None, channels=1):
        self.soft_pedal_db = piano.soft_pedal_db
        self.model = model
        clock = dampers.clock(table) if piano.half_pedal else None
        self.sound = sound_lib.Sound(model, piano, seed, sample_rate, channels, clock)
        self.follows = None if clock is None else dampers.followers(table)
        self.coupling = piano.coupling
        self.table = table
        if self.coupling:
            self.openings = sympathetic.Openings.of(table)
            self.strings = self._strings()
        self.frames_per_second = piano_roll.FRAMES_PER_SECOND
        self.next_window = 0
        self.backgrounds = {}
        self.oscillators, self.bursts = None, None

    def dry(self, first_node, num_nodes):
        """Dry samples of the nodes from `first_node` on, `[sums, samples]`."""
        node_secs = (first_node + np.arange(num_nodes + 1)) * self.sound.step_secs
        frame = piano_roll.frame_of(node_secs, self.frames_per_second).astype(int)
        while self.next_window * WINDOW_FRAMES <= frame[-1]:
            self._decode_window()
        self._forget(node_secs[0], frame[0] // WINDOW_FRAMES)
        return self.sound.dry(self.oscillators, self.bursts, self._background(frame), first_node,
                              num_nodes)

    def _background(self, frame):
        window, inside = np.divmod(frame, WINDOW_FRAMES)
        return np.exp(np.stack([self.backgrounds[w][i] for w, i in zip(window, inside, strict=True)
                                ]))

    def _decode_window(self):
        """Runs the nets over the next window of frames and the notes struck in it."""
        model, window = self.model, self.next_window
        first = window * WINDOW_FRAMES
        # Frames that the causal nets look back on; before the piece there is only padding.
        before = min(first, model.receptive_field_frames)
        roll = piano_roll.roll(self.table, (first - before) / self.frames_per_second,
                               before + WINDOW_FRAMES)
        frames, background = frames_lib.decode(model, roll, self.sound.arrays["style"])
        self.backgrounds[window] = background[before:]
        frames = frames[before:]
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
        controls = sound_lib.note_controls(self.model, self.sound.arrays, key, velocity, context,
                                 _filled(soft, NOTE_STEP, 0.0)[None],
                                 self.soft_pedal_db if np.any(soft > 0) else 0.0,
                                 self.sound.high_hz)
        controls = {name: ops.convert_to_numpy(value)[0, :len(rows)]
                    for name, value in controls.items()}
        onset, damped = table.onset_secs[rows], table.damped_secs[rows]
        ends, follows = damped, None
        if self.follows is not None:
            follows = self.follows[rows]
            ends = np.where(follows, self.sound.clock.at(table.release_secs[rows]), damped)
        found = self.sound.oscillators(table.key[rows], controls, onset, ends, follows)
        if self.coupling:
            answers = self.sound.answers(found, damped, self.strings, self.openings, self.coupling)
            found = _joined({name: found[name] for name in answers}, answers)
        bursts = {"hammer": controls["noise"], "hammer_secs": onset,
                  "damper": controls["damper_noise"], "damper_secs": damped}
        found = {name: value for name, value in found.items() if name not in _NOT_SUMMED}
        self.oscillators = _joined(self.oscillators, found)
        self.bursts = _joined(self.bursts, bursts)

    def _strings(self):
        """The strings of all keys as they are when nothing else sounds."""
        key = np.arange(piano_roll.NUM_KEYS, dtype=np.int32)[None]
        context = np.zeros((*key.shape, self.model.context_filters), np.float32)
        controls = sound_lib.note_controls(self.model, self.sound.arrays, key,
                                 np.full(key.shape, FREE_VELOCITY, np.float32), context,
                                 np.zeros(key.shape, np.float32), 0.0, self.sound.high_hz)
        return sympathetic.Strings.of({name: ops.convert_to_numpy(value)[0]
                                       for name, value in controls.items()}, self.sound.high_hz)

    def _forget(self, start, window):
        """Drops what can no longer be heard after `start`, and windows before `window`."""
        self.backgrounds = {w: value for w, value in self.backgrounds.items() if w >= window}
        alive = self.oscillators["end"] > start
        self.oscillators = {name: value[alive] for name, value in self.oscillators.items()}
        near = self.bursts["damper_secs"] > start - sound_lib.NOISE_SECS
        self.bursts = {name: value[near] for name, value in self.bursts.items()}


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


def played(model, piano, table, seed=0, progress=None, sample_rate=None, channels=1):
    """Chunks of the piece at any rate; `progress` is told the seconds."""
    rate = sound_lib.native_rate(model, sample_rate)
    chunks = play(model, piano, table, seed, sample_rate=rate, channels=channels)
    if progress is not None:
        chunks = _told(chunks, num_chunks(model, table, sample_rate=rate), rate, progress)
    return audio_lib.resampled(chunks, rate, sample_rate or rate, channels)


def _told(chunks, total, rate, progress):
    for i, chunk in enumerate(chunks):
        yield chunk
        seconds = len(chunk) / rate
        progress("playing", (i + 1) * seconds, total * seconds)
