"""Small pianos and pieces that several tests play."""

import dataclasses
import functools

import keras
import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp import playing as generation
from style_transfer.models.piano_ddsp.net import PianoDDSP
from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.piano_roll import NoteTable, note_table

EQUAL_HZ = (440 * 2 ** ((np.arange(88) - 48) / 12)).astype(np.float32)


@functools.cache
def tiny_model(seed=0):
    """A small `PianoDDSP` with random weights; one for all tests, which share what it compiles."""
    keras.utils.set_random_seed(seed)
    model = PianoDDSP(style_size=8, width=16, num_layers=2, context_filters=8, dilations=(1, 2),
                      num_partials=48, num_oscillators=256, room_secs=0.2, warmup_secs=0.2)
    model.build(None)
    # An untrained head plays all notes alike; weights of a trained one's size tell them apart.
    rng = np.random.default_rng(seed)
    for layer in (model.note_head, model.background):
        layer.kernel.assign(rng.normal(0, 0.15, layer.kernel.shape))
    model.weights_name = "tiny"
    return model


@functools.cache
def shipped():
    """The package's model, and a piano in equal temperament that it makes of no style at all."""
    from style_transfer import weights

    model = weights.load("piano_ddsp")
    return model, piano(0, style=np.zeros(model.style_size, np.float32),
                        weights=model.weights_name)


def clip(model, secs=4, loudness_db=-23.0):
    """`Audio` of `random_notes(30, secs)` on `piano()`: a style clip."""
    samples = np.concatenate(list(generation.play(model, piano(), random_notes(30, secs))))
    samples = samples[:secs * model.sample_rate]
    return audio_lib.at_loudness(Audio(samples, model.sample_rate), loudness_db)


def piano(tilt=0.5, /, **changes):
    """A piano in equal temperament."""
    vector = np.linspace(-1, 1, 8).astype(np.float32) * np.float32(tilt)
    made = Piano(style=vector, f0_hz=EQUAL_HZ, inharmonicity=np.full(88, 3e-4, np.float32),
                 loudness_db=-20.0, weights="tiny")
    return dataclasses.replace(made, **changes)


def notes(*rows):
    """A `NoteTable` of rows (key, velocity, onset, release[, damped])."""
    rows = sorted((*row, row[3])[:5] for row in rows)
    rows.sort(key=lambda row: row[2])
    columns = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    key, velocity, onset, release, damped = columns
    return NoteTable(key.astype(np.int32), velocity.astype(np.float32), onset, release, damped)


def random_notes(count, seconds, seed=0):
    """Random notes, overlapping and repeated ones among them."""
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.uniform(0, seconds, count))
    length = rng.uniform(0.05, 2, count)
    return NoteTable(rng.integers(5, 80, count).astype(np.int32),
                     rng.uniform(0.1, 1, count).astype(np.float32), onset, onset + length,
                     onset + length * 1.3)


def assert_same_sound(found, expected):
    """That two sounds are one, though their piano's pitches were measured twice.

    The last bit of a pitch turns the phase of a high partial by some 0.02 within seconds.
    """
    assert found.shape == expected.shape
    assert np.std(found - expected) < 0.01 * np.std(expected)


def sine(content, style, *, sample_rate, seed):
    """A method for the page: a piece's first key, as long as the piece, as loud as the clip."""
    del seed
    table = note_table(content)
    time = np.arange(round(table.end_secs * sample_rate)) / sample_rate
    tone = np.sin(2 * np.pi * EQUAL_HZ[table.key[0]] * time)
    return audio_lib.at_loudness(Audio(tone, sample_rate), audio_lib.load(style).rms_db)


METHODS = {"sine": ("A sine for each piece.", lambda: sine)}
