"""Instruments that were never built."""

import collections

import numpy as np
import pytest

from style_transfer.pipelines.rendering import Renderer, procedural_instrument, renderers_from
from style_transfer.pipelines.rendering.procedural import ProceduralRenderer
from style_transfer.pipelines.rendering.procedural_instrument import InstrumentRenderer
from tests.pipelines.rendering.cases import SAMPLE_RATE, cents, rms, sequence

NOTE = sequence([(69, 100, 0.0, 1.5)])


def _first(kind):
    return next(seed for seed in range(200)
                if procedural_instrument.draw_instrument(seed).kind == kind)


def _spectrum(audio, first, last):
    part = audio.samples[int(first * SAMPLE_RATE):int(last * SAMPLE_RATE)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * len(part))) ** 2
    return np.arange(len(power)) * SAMPLE_RATE / (8 * len(part)), power


def test_the_same_seed_gives_the_same_audio_and_another_seed_another_instrument():
    first, again, other = (InstrumentRenderer(seed).render(NOTE, SAMPLE_RATE)
                           for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.samples, again.samples)
    spectra = [_spectrum(audio, 0.0, 1.0)[1] for audio in (first, other)]
    assert np.corrcoef(np.log(np.add(spectra, 1e-9)))[0, 1] < 0.9


def test_three_hundred_instruments_are_of_all_kinds_and_sound_from_bottom_to_top():
    kinds = collections.Counter(procedural_instrument.draw_instrument(seed).kind
                                for seed in range(300))
    assert set(kinds) == set(procedural_instrument.KINDS) and min(kinds.values()) > 15
    rng = np.random.default_rng(0)
    for seed in range(60):
        instrument = procedural_instrument.draw_instrument(seed)
        for pitch in (21, 60, 108):
            note = procedural_instrument.played(instrument, pitch, 0.8, 0.4, 16_000, rng)
            assert np.isfinite(note).all() and note.dtype == np.float32
            assert np.max(np.abs(note)) > 1e-4, (seed, pitch)


@pytest.mark.parametrize("kind", ["sustained", "plucked", "stops"])
def test_it_is_in_tune(kind):
    renderer = InstrumentRenderer(_first(kind), dry=True)
    hz, power = _spectrum(renderer.render(NOTE, SAMPLE_RATE), 0.1, 1.4)
    found = [(power[np.abs(hz - 440 * n) < 20].max(), n) for n in (1, 2, 3, 4)]
    loudest = max(found)[1]
    near = np.abs(hz - 440 * loudest) < 30
    assert abs(cents(hz[near][np.argmax(power[near])], 440.0 * loudest)) < 40
    between = np.abs(hz - 440 * (loudest + 0.4)) < 15
    assert power[near].max() > 30 * power[between].max()


def test_plucked_tones_die_away_and_sustained_ones_last_until_the_key_is_let_go():
    long = sequence([(60, 100, 0.0, 3.0)])
    for kind, falls in (("plucked", True), ("struck", True), ("sustained", False),
                        ("stops", False)):
        audio = InstrumentRenderer(_first(kind), dry=True).render(long, SAMPLE_RATE)
        early, late, after = rms(audio, 0.2, 0.5), rms(audio, 2.5, 2.9), rms(audio, 6.0, 6.5)
        assert (late < 0.6 * early) == falls, kind
        assert after < 0.01 * early


def test_soft_notes_are_softer_and_no_brighter():
    def level_and_centroid(seed, velocity):
        audio = InstrumentRenderer(seed, dry=True).render(
            sequence([(57, velocity, 0.0, 1.0)]), SAMPLE_RATE)
        hz, power = _spectrum(audio, 0.0, 1.0)
        return power.sum(), np.sum(hz * power) / power.sum()

    for seed in range(8):
        (soft, dull), (loud, bright) = (level_and_centroid(seed, v) for v in (30, 120))
        assert soft < 0.8 * loud and dull < 1.1 * bright, seed


def test_any_instrument_means_procedural_instruments_else_pianos():
    made = renderers_from("procedural:3", seed=2, any_program=True)
    assert all(isinstance(renderer, InstrumentRenderer) for renderer in made)
    assert all(isinstance(renderer, Renderer) for renderer in made)
    assert len({renderer.timbre_id for renderer in made}) == 3
    assert isinstance(renderers_from("procedural:seed=7", any_program=True)[0], InstrumentRenderer)
    assert isinstance(renderers_from("procedural:3")[0], ProceduralRenderer)
