"""Fitting an estimated piano to its clip: a few steps on a latent and small corrections.

What all keys have in common is a correction of its own, or those that the clip does not play would
get nothing of it. Velocities that nobody knows, of heard notes, are fitted along with the piano:
what a note of the clip sounds like tells how hard it was struck better than the transcriber can.
"""

import functools

import keras
import numpy as np
from keras import ops

from style_transfer import losses, piano_roll
from style_transfer.models.piano_ddsp import net as piano_ddsp

CLIP_SECS = 10.0  # a clip up to which the steps and the penalty are these; longer ones tell more
STEPS = 60
PENALTY = 24.0  # of the corrections' mean squares
LEARNING_RATE = 0.03
NUM_OSCILLATORS = 1000  # at once; what the quieter partials add takes as long and teaches nothing
CROP_SECS = 2.5
BATCH_SIZE = 3
MAX_NOTES = 96
VELOCITY_PENALTY = 6.0  # of the mean square of what is added to velocities
MAX_CLIP_NOTES = 2048  # whose velocities are fitted each by itself
SOFTEST = 0.02  # velocity that a fitted note has at least


class Adapter(keras.Model):
    """A `PianoDDSP` with frozen nets whose style vector and corrections can be learned.

    Args:
        model: The `PianoDDSP`; its weights stay as they are.
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        self.piano = model
        self.piano.trainable = False
        self.spectral_loss = losses.PianoLoss(model.sample_rate, soft_floor=True, logmel_weight=4.0)
        shapes = {"shared": (model.num_outputs,),
                  "by_key": (piano_ddsp.NUM_ANCHORS, model.num_outputs),
                  "by_velocity": (model.num_outputs,),
                  "room": (2 * piano_ddsp.NUM_ROOM_BANDS,)}
        self.middle = self.add_weight(name="middle", shape=(), initializer="zeros",
                                      trainable=False)
        self.velocity_offset = self.add_weight(name="velocity_offset", shape=(MAX_CLIP_NOTES,),
                                               initializer="zeros")
        self.unsure = self.add_weight(name="unsure", shape=(), initializer="zeros",
                                      trainable=False)
        self.penalty = self.add_weight(name="penalty", shape=(), initializer="zeros",
                                       trainable=False)
        self.style = self.add_weight(name="style", shape=(model.style_size,), initializer="zeros")
        self.learned = {name: self.add_weight(name=name, shape=shape, initializer="zeros")
                        for name, shape in shapes.items()}

    def call(self, inputs, training=False):
        """Magnitudes expected of a batch of crops, as `PianoDDSP.expected_magnitudes`."""
        for name, value in self.learned.items():
            # Where velocities are guesses, what all keys share is uncertain, too.
            weight = self.unsure if name == "shared" else 1.0
            self.add_loss(weight * self.penalty * ops.mean(ops.square(value)))
        inputs = {**inputs, "note_velocity": self._velocities(inputs)}
        style = ops.broadcast_to(self.style, (ops.shape(inputs["note_key"])[0], *self.style.shape))
        return self.piano.expected_magnitudes(style, inputs, self.corrections(),
                                              min(NUM_OSCILLATORS, self.piano.num_oscillators))

    def corrections(self):
        """What was learned, as `PianoDDSP.play` takes it."""
        learned = self.learned
        by_key = (learned["by_key"] + learned["shared"]
                  + (0.5 - self.middle) * learned["by_velocity"])
        return {"by_key": by_key, "by_velocity": learned["by_velocity"], "room": learned["room"]}

    def _velocities(self, inputs):
        """Velocities of the crops' notes as far as they are fitted; adds their penalty."""
        velocity = inputs["note_velocity"]
        offset = self.unsure * ops.where(
            velocity > 0, ops.take(self.velocity_offset, inputs["note_index"]), 0.0)
        self.add_loss(VELOCITY_PENALTY * ops.mean(ops.square(offset)))
        return ops.where(velocity > 0, ops.clip(velocity + offset, SOFTEST, 1.0), velocity)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Loss of all magnitudes together and the penalties; `compile` would take them apart."""
        return sum(self.losses, self.spectral_loss(y, y_pred, sample_weight))

    def restart(self, style, penalty, middle, unsure_velocities):
        """Forgets what was learned and starts at `style`; see `adapt`.

        Args:
            style: The encoder's style vector, `[style_size]`.
            penalty: Weight of the squared corrections in the loss.
            middle: Velocity at which `by_velocity` corrects nothing, so that it is only a slope.
            unsure_velocities: See `adapt`.
        """
        self.style.assign(style)
        self.penalty.assign(penalty)
        self.middle.assign(middle)
        self.unsure.assign(float(unsure_velocities))
        for variable in (*self.learned.values(), self.velocity_offset):
            variable.assign(ops.zeros_like(variable))
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(ops.zeros_like(variable))


@functools.lru_cache(maxsize=1)
def _adapter(model):
    """An `Adapter` ready to train; kept, since compiling it takes longer than many steps."""
    adapter = Adapter(model)
    adapter.compile(keras.optimizers.Adam(beta_2=0.99, global_clipnorm=1.0))
    adapter.optimizer.build(adapter.trainable_variables)
    return adapter


def crops(audio, table, tuning, seed, warmup_secs, crop_secs=CROP_SECS, batch_size=BATCH_SIZE,
          max_notes=MAX_NOTES):
    """Endless random crops of a clip with its notes, as batches for `PianoDDSP`.

    Args:
        audio: `Audio` at the model's rate.
        table: The clip's `NoteTable`.
        tuning: Has `f0_hz` and `inharmonicity`, each `[88]`.
        seed: Seed of the positions.
        warmup_secs: Seconds at the crop's start that the model does not give back.
        crop_secs: Length of a crop, the warm-up included.
        batch_size: Crops in a batch.
        max_notes: Notes in a crop; the oldest go.

    Yields:
        `(inputs, target)`.
    """
    rng = np.random.default_rng(seed)
    rate = audio.sample_rate
    before = int(warmup_secs * rate)
    # The clip may start and end anywhere in a crop, so that all of it is heard equally often.
    samples = np.concatenate([np.zeros(before, np.float32), audio.samples])
    size = int(crop_secs * rate)
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    num_frames = int(crop_secs * piano_roll.FRAMES_PER_SECOND)
    while True:
        starts = rng.integers(0, len(samples) - size + 1, batch_size)
        rows = [note_arrays(table, start / rate - warmup_secs, crop_secs, max_notes)
                for start in starts]
        inputs = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        inputs["roll"] = np.stack([piano_roll.roll(table, s / rate - warmup_secs, num_frames)
                                   for s in starts])
        for name in ("f0_hz", "inharmonicity"):
            value = np.asarray(getattr(tuning, name), np.float32)
            inputs[name] = np.broadcast_to(value, (batch_size, len(value)))
        yield inputs, np.stack([samples[s + before: s + size] for s in starts])


def note_arrays(table, start_secs, crop_secs, max_notes):
    """The notes of a crop as padded arrays `[max_notes]`, times relative to its start.

    `note_index` says which rows of the table they are.
    """
    onset, damped = table.onset_secs - start_secs, table.damped_secs - start_secs
    rows = np.flatnonzero((onset < crop_secs) & (damped > -1.0))[-max_notes:]
    arrays = {"note_index": (np.minimum(rows, MAX_CLIP_NOTES - 1), np.int32, 0),
              "note_key": (table.key[rows], np.int32, 0),
              "note_velocity": (table.velocity[rows], np.float32, 0.0),
              "note_onset_secs": (onset[rows], np.float32, 0.0),
              "note_damped_secs": (damped[rows], np.float32, piano_ddsp.NEVER_SECS)}
    return {name: np.pad(values.astype(dtype), (0, max_notes - len(rows)), constant_values=fill)
            for name, (values, dtype, fill) in arrays.items()}


def default_steps(clip_secs):
    """Gradient steps that a clip of so many seconds is worth: 60 up to 10 s, 147 for a minute."""
    return round(STEPS * max(1.0, clip_secs / CLIP_SECS) ** 0.5)


def adapt(model, style, audio, table, tuning, steps=None, learning_rate=LEARNING_RATE,
          penalty=None, seed=0, progress=None, batch_size=BATCH_SIZE, unsure_velocities=False):
    """Fits style vector and corrections to a clip with known notes.

    Args:
        model: A `PianoDDSP`.
        style: Style vector to start from, `[style_size]`.
        audio: The clip at the model's rate, scaled to the level that the model was trained at.
        table: Its `NoteTable`.
        tuning: Its measured tuning.
        steps: Gradient steps; None takes `default_steps` of the clip's length.
        learning_rate: Of Adam at the start; it falls to a tenth.
        penalty: Weight of the squared corrections; None takes `PENALTY` for 10 s, and less for
            longer clips as they tell more.
        seed: Seed of the crops.
        progress: Called with (step, steps, loss) after each step.
        batch_size: Crops in a step.
        unsure_velocities: Whether the table's velocities are guesses and fitted as well; what all
            keys share is penalized then, too, which is free otherwise.

    Returns:
        The adapted style vector and the corrections, as NumPy arrays.
    """
    steps = default_steps(audio.duration_secs) if steps is None else steps
    if penalty is None:
        penalty = PENALTY / max(1.0, audio.duration_secs / CLIP_SECS)
    adapter = _adapter(model)
    adapter.restart(style, penalty, np.mean(table.velocity), unsure_velocities)
    batches = crops(audio, table, tuning, seed, model.warmup_secs, batch_size=batch_size)
    for step in range(steps):
        falling = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * step / steps))
        adapter.optimizer.learning_rate = learning_rate * falling
        value = adapter.train_on_batch(*next(batches))
        if progress is not None:
            progress(step + 1, steps, float(np.ravel(value)[0]))
    style = ops.convert_to_numpy(adapter.style)
    return style, {k: ops.convert_to_numpy(v) for k, v in adapter.corrections().items()}
