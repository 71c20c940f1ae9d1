"""The tuning measured inside a graph is the one that the library measures."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from style_transfer import audio
from style_transfer.audio import Audio
from style_transfer.measure import analysis
from style_transfer.models.piano_ddsp import graph_tuning as tuning

RATE = 24_000
CLIP = pathlib.Path(__file__).parents[3] / "examples" / "electric_grand.flac"


@pytest.fixture(scope="module")
def measure():
    return tf.function(lambda samples: tuning.measure_tuning(samples, RATE), autograph=False,
                       input_signature=[tf.TensorSpec([None])])


def sharper(cents):
    """The example clip, some cents sharper, its first five seconds."""
    clip = audio.load(CLIP)
    rate = round(clip.sample_rate * 2 ** (cents / 1200))
    return audio.resample(Audio(clip.samples[:5 * clip.sample_rate], rate), RATE)


@pytest.mark.parametrize("cents", [25, pytest.param(0, marks=pytest.mark.slow),
                                   pytest.param(-40, marks=pytest.mark.slow)])
def test_tuning_and_stiffness_are_the_librarys(measure, cents):
    clip = sharper(cents)
    expected = analysis.measure_tuning(clip)
    f0_hz, inharmonicity = measure(clip.samples)
    apart = 1200 * np.log2(f0_hz.numpy() / expected.f0_hz)
    assert np.abs(apart).max() < 0.01
    assert np.abs(inharmonicity.numpy() / expected.inharmonicity - 1).max() < 1e-3


@pytest.mark.slow
def test_different_clips_give_different_tunings(measure):
    flat, sharp = (measure(sharper(cents).samples)[0].numpy() for cents in (-40, 25))
    assert np.median(1200 * np.log2(sharp / flat)) == pytest.approx(65, abs=3)


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(10)], ids=["silence", "short"])
def test_where_nothing_is_heard_the_reference_is_given(measure, samples):
    f0_hz, inharmonicity = measure(samples.astype(np.float32))
    reference = analysis.reference_tuning()
    np.testing.assert_allclose(f0_hz, reference.f0_hz, rtol=1e-6)
    np.testing.assert_allclose(inharmonicity, reference.inharmonicity, rtol=1e-6)
