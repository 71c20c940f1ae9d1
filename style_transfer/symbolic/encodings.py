"""Tracks of MusicVAE and Drums RNN: classes of steps, and notes made of them.

Notes become classes by Magenta's own converters, classes become notes by note-seq alone, which
loads in a moment.
"""

import contextlib
import functools
import importlib.util
import io
import logging
import pathlib
import sys
import warnings

import numpy as np

from style_transfer.symbolic.layouts import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    MELODY_DEPTH,
    NUM_DRUMS,
    STEPS_PER_BAR,
    STEPS_PER_QUARTER,
)

FIRST_NOTE_ON = 2
BASS_INSTRUMENT, BASS_PROGRAM = 1, 33
VELOCITY = 80
QPM = 120.0
MAX_BARS = 100  # of a melody or drum track, before it is cut into sequences


@functools.cache
def magenta_module(file):
    """A module of Magenta's models that does not run any itself.

    It is loaded by its file: its package imports the models too, which take TensorFlow 1's RNN
    cells that Keras 3 does not have.

    Args:
        file: Below Magenta's folder of models, such as `music_vae/data.py`.

    Raises:
        ValueError: Magenta is not installed.
    """
    # Magenta 2.1.4 uses a name that NumPy took back in 1.24.
    if "bool" not in np.__dict__:
        np.bool = np.bool_
    try:
        models = importlib.util.find_spec("magenta.models")
        path = pathlib.Path(next(iter(models.submodule_search_locations))) / file
        spec = importlib.util.spec_from_file_location(f"_magenta_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        with _silence():
            spec.loader.exec_module(module)
    except (ImportError, AttributeError, FileNotFoundError) as error:
        raise ValueError("Reading sequences out of MIDI takes Magenta: install "
                         f"requirements/classic.lock or current.lock ({error}).") from error
    return module


@contextlib.contextmanager
def _silence():
    """Nothing is said of packages that Magenta imports and that fail, none of which is used."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@functools.cache
def converter(layout):
    """Magenta's converter of a MusicVAE `Layout`, which gives every sequence of a piece.

    Raises:
        ValueError: Magenta is not installed.

    Source: `magenta.models.music_vae.configs` of Magenta 2.1.4.
    """
    data = magenta_module("music_vae/data.py")
    limits = {"steps_per_quarter": STEPS_PER_QUARTER, "slice_bars": layout.bars,
              "max_tensors_per_notesequence": None}
    if len(layout.tracks) > 1:
        return data.TrioConverter(gap_bars=2, **limits)
    if layout.tracks == ("drums",):
        return data.DrumsConverter(max_bars=MAX_BARS, roll_input=layout.roll_input, **limits)
    return data.OneHotMelodyConverter(
        valid_programs=data.MEL_PROGRAMS if layout.bars == 2 else None, skip_polyphony=False,
        max_bars=MAX_BARS, **limits)


def to_labels(note_sequence, layout):
    """All sequences of a piece, each once.

    Args:
        note_sequence: A NoteSequence, not quantized.
        layout: A `Layout`.

    Returns:
        Classes, int16 `[count, steps, tracks]`, ordered by themselves.
    """
    tensors = converter(layout).to_tensors(note_sequence).outputs
    found = {tuple(map(tuple, classes(np.asarray(t), layout).tolist())) for t in tensors}
    return np.array(sorted(found), np.int16).reshape(-1, layout.steps, len(layout.tracks))


def classes(one_hot, layout):
    """Likeliest class of each track: `[..., sum of depths]` to `[..., tracks]`."""
    stops = np.cumsum(layout.depths)[:-1]
    return np.stack([part.argmax(-1) for part in np.split(one_hot, stops, axis=-1)], axis=-1)


def one_hot(labels, layout):
    """Classes `[..., tracks]` to bool `[..., sum of depths]`; those below 0 to nothing."""
    return np.concatenate([labels[..., i, None] == np.arange(depth)
                           for i, depth in enumerate(layout.depths)], axis=-1)


def encoder_inputs(labels, layout):
    """What the encoder reads of classes `[..., tracks]`: bool `[..., input_depth]`."""
    if not layout.roll_input:
        return one_hot(labels, layout)
    roll = (labels >> np.arange(NUM_DRUMS)) & 1 == 1
    return np.concatenate([roll, labels == 0], axis=-1)


def transpose(labels, semitones, layout):
    """Classes with the pitched tracks moved, or as they are where that leaves the keyboard.

    Args:
        labels: Classes, shape `[count, steps, tracks]`.
        semitones: Shape `[count]`.
        layout: Their `Layout`.

    Source: the transposition of Magenta's `NoteSequenceAugmenter`.
    """
    pitched = np.array([track != "drums" for track in layout.tracks])
    is_note = (labels >= FIRST_NOTE_ON) & pitched
    moved = labels + semitones[:, None, None].astype(labels.dtype) * is_note
    is_outside = is_note & ((moved < FIRST_NOTE_ON) | (moved >= MELODY_DEPTH))
    return np.where(is_outside.any(axis=(1, 2), keepdims=True), labels, moved)


def to_sequence(labels, layout, qpm=QPM):
    """Notes of one sequence of classes.

    Args:
        labels: Shape `[steps, tracks]`.
        layout: Their `Layout`.
        qpm: Tempo, quarters per minute.

    Returns:
        A NoteSequence.
    """
    import note_seq

    result = note_seq.NoteSequence()
    for index, track in enumerate(layout.tracks):
        part = _track_sequence(labels[:, index], track, qpm)
        if not index:
            result.CopyFrom(part)
            continue
        result.notes.extend(part.notes)
        result.total_time = max(result.total_time, part.total_time)
    return result


def _track_sequence(labels, track, qpm):
    import note_seq

    if track == "drums":
        encoding = drum_encoding()
        events = note_seq.DrumTrack([encoding.decode_event(int(c)) for c in labels],
                                    steps_per_bar=STEPS_PER_BAR,
                                    steps_per_quarter=STEPS_PER_QUARTER)
        return events.to_sequence(velocity=VELOCITY, qpm=qpm)
    encoding = note_seq.MelodyOneHotEncoding(LOWEST_PITCH, HIGHEST_PITCH + 1)
    events = note_seq.Melody(steps_per_bar=STEPS_PER_BAR, steps_per_quarter=STEPS_PER_QUARTER)
    for label in labels:
        events.append(encoding.decode_event(int(label)))
    sequence = events.to_sequence(velocity=VELOCITY, qpm=qpm)
    if track == "bass":
        for note in sequence.notes:
            note.instrument, note.program = BASS_INSTRUMENT, BASS_PROGRAM
    return sequence


@functools.cache
def drum_encoding():
    """Sets of drums as classes, by nine kinds of drums."""
    import note_seq

    return note_seq.MultiDrumOneHotEncoding()


@functools.cache
def drums_rnn_encoder(layout):
    """note-seq's encoder of a `DrumLayout`, the settings those of Magenta."""
    import note_seq

    if layout.single:
        clap = 39  # what the one class is played with
        pitches = [clap, *range(note_seq.MIN_MIDI_PITCH, clap),
                   *range(clap, note_seq.MAX_MIDI_PITCH + 1)]
        return note_seq.OneHotEventSequenceEncoderDecoder(
            note_seq.MultiDrumOneHotEncoding([pitches]))
    return note_seq.LookbackEventSequenceEncoderDecoder(
        drum_encoding(), lookback_distances=[], binary_counter_bits=6)
