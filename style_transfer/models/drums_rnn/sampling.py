"""Drum tracks written by a `DrumsRnn`, one step after the other."""

import dataclasses

import numpy as np
from keras import ops, tree

from style_transfer.layers.compiling import compiled
from style_transfer.symbolic import encodings
from style_transfer.symbolic.metrics import log_softmax

DEFAULT_PRIMER = ((36,),)


@dataclasses.dataclass(frozen=True)
class DrumOptions:
    """How drums are written; the command's flags, by Magenta's names.

    Attributes:
        num_steps: Steps of a track, the primer included.
        num_outputs: How many tracks.
        primer: Sets of pitches that the tracks begin with, one for each step.
        temperature: What logits are divided by; more is less predictable.
        beam_size: How many beginnings are pursued for each track.
        branch_factor: How many continuations are tried for each of them.
        steps_per_iteration: Steps between choosing the likeliest.
        qpm: Tempo, quarters per minute.
        seed: Of what is drawn.
    """

    num_steps: int = 128
    num_outputs: int = 10
    primer: tuple[tuple[int, ...], ...] = DEFAULT_PRIMER
    temperature: float = 1.0
    beam_size: int = 1
    branch_factor: int = 1
    steps_per_iteration: int = 1
    qpm: float = encodings.QPM
    seed: int = 0

    def __post_init__(self):
        for name in ("num_outputs", "beam_size", "branch_factor", "steps_per_iteration"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.temperature <= 0 or self.qpm <= 0:
            raise ValueError(f"temperature={self.temperature} and qpm={self.qpm} must be more "
                             "than 0.")
        if not self.primer:
            raise ValueError("The primer is empty: give at least one step, () for silence.")
        if self.num_steps <= len(self.primer):
            raise ValueError(f"num_steps={self.num_steps} leaves nothing to write after a primer "
                             f"of {len(self.primer)} steps.")


@dataclasses.dataclass
class _Beam:
    """Tracks in the making: events, state and logits of each, and how likely they are."""

    events: list
    state: tuple
    logits: np.ndarray
    log_likelihood: np.ndarray

    def choose(self, rows):
        """The beam of these rows; itself if they are its own in order."""
        if np.array_equal(rows, np.arange(len(self.events))):
            return self
        return _Beam([list(self.events[row]) for row in rows],
                     tree.map_structure(lambda x: ops.take(x, rows, axis=0), self.state),
                     self.logits[rows], self.log_likelihood[rows])


def generate(model, layout, options):
    """Writes drum tracks.

    Args:
        model: A `DrumsRnn` of the layout.
        layout: Its `DrumLayout`.
        options: The `DrumOptions`.

    Returns:
        A list of `(NoteSequence, log_likelihood)`, nats of a whole track at the temperature.
    """
    encoder = encodings.drums_rnn_encoder(layout)
    rng = np.random.default_rng(options.seed)
    beam = _begin(model, encoder, options)
    beam = beam.choose(np.zeros(options.num_outputs * options.beam_size, int))
    step, fixed = compiled(model.step), model.fixed_weights()
    left = options.num_steps - len(options.primer)
    # As Magenta: all turns but the first are of the same length.
    turn = (left - 1) % options.steps_per_iteration + 1
    while left:
        beam = beam.choose(np.repeat(np.arange(len(beam.events)), options.branch_factor))
        for _ in range(turn):
            _extend(step, fixed, encoder, beam, options.temperature, rng)
        left -= turn
        turn = options.steps_per_iteration
        beam = beam.choose(_likeliest(beam.log_likelihood, options.num_outputs,
                                      options.beam_size if left else 1))
    return [(to_sequence(events, layout, options.qpm), float(log_likelihood))
            for events, log_likelihood in zip(beam.events, beam.log_likelihood, strict=True)]


def log_likelihood(model, layout, events, temperature=1.0):
    """Nats of each step after the first, given those before it.

    Args:
        model: A `DrumsRnn` of the layout.
        layout: Its `DrumLayout`.
        events: Sets of pitches, one for each step, at least two.
        temperature: What logits are divided by.

    Returns:
        Shape `[steps - 1]`.
    """
    inputs, labels = encodings.drums_rnn_encoder(layout).encode(
        [frozenset(event) for event in events])
    logits, _ = model.run(np.array(inputs, np.float32)[None])
    log_probs = np.asarray(ops.log_softmax(logits[0] / temperature))
    return log_probs[np.arange(len(labels)), labels]


def _begin(model, encoder, options):
    events = [frozenset(event) for event in options.primer]
    inputs = np.array([encoder.events_to_input(events, i) for i in range(len(events))], np.float32)
    logits, state = model.run(inputs[None])
    logits = np.asarray(logits, np.float64)
    log_probs = log_softmax(logits[0, :-1] / options.temperature)
    labels = [encoder.events_to_label(events, i) for i in range(1, len(events))]
    return _Beam([events], state, logits[:, -1],
                 np.array([log_probs[np.arange(len(labels)), labels].sum()]))


def _extend(step, fixed, encoder, beam, temperature, rng):
    """One step more in all tracks of the beam."""
    log_probs = log_softmax(beam.logits / temperature)
    classes = (log_probs + rng.gumbel(size=log_probs.shape)).argmax(axis=-1)
    rows = np.arange(len(classes))
    beam.log_likelihood = beam.log_likelihood + log_probs[rows, classes]
    for events, chosen in zip(beam.events, classes, strict=True):
        events.append(encoder.class_index_to_event(int(chosen), events))
    inputs = [encoder.events_to_input(events, len(events) - 1) for events in beam.events]
    logits, beam.state = step(ops.convert_to_tensor(np.array(inputs, np.float32)), beam.state,
                              fixed)
    beam.logits = np.asarray(logits, np.float64)


def _likeliest(log_likelihood, num_outputs, count):
    """Rows of the `count` likeliest of each output."""
    of_output = log_likelihood.reshape(num_outputs, -1)
    if count == of_output.shape[1]:
        return np.arange(log_likelihood.size)
    best = np.argsort(-of_output, axis=1, kind="stable")[:, :count]
    return (best + np.arange(num_outputs)[:, None] * of_output.shape[1]).ravel()


def to_sequence(events, layout, qpm):
    """A NoteSequence of sets of pitches, one for each step."""
    import note_seq

    track = note_seq.DrumTrack(list(events), steps_per_bar=layout.steps_per_bar,
                               steps_per_quarter=layout.steps_per_quarter)
    return track.to_sequence(qpm=qpm)


def primer_of(note_sequence, layout):
    """The first drums of a piece, up to a change of tempo or meter or two empty bars.

    Args:
        note_sequence: A NoteSequence, not quantized.
        layout: Its `DrumLayout`.

    Returns:
        Sets of pitches for `DrumOptions.primer`.

    Raises:
        ValueError: There are none in a part that can be quantized.
    """
    import note_seq
    from note_seq import sequences_lib

    reasons = []
    for part in sequences_lib.split_note_sequence_on_time_changes(note_sequence):
        track = note_seq.DrumTrack()
        try:
            quantized = note_seq.quantize_note_sequence(part, layout.steps_per_quarter)
            track.from_quantized_sequence(quantized, gap_bars=2)
        except (note_seq.BadTimeSignatureError, note_seq.NonIntegerStepsPerBarError,
                note_seq.NegativeTimeError, note_seq.MultipleTempoError) as error:
            reasons.append(type(error).__name__)
            continue
        if len(track):
            return tuple(tuple(sorted(event)) for event in track)
    raise ValueError("The primer has no drums: give MIDI with notes on channel 10"
                     f"{', quantizable (' + ', '.join(reasons) + ')' if reasons else ''}.")
