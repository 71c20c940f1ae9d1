"""Procedural pianos and the oscillators and rooms they are made of."""

import collections

import numpy as np
import pytest

from style_transfer.pipelines.rendering import Renderer, procedural_piano, renderers_from
from style_transfer.pipelines.rendering.oscillators import BLOCK, Bank
from style_transfer.pipelines.rendering.procedural import ProceduralRenderer
from style_transfer.pipelines.rendering.rooms import minimum_phase, room_impulse
from tests.pipelines.rendering.cases import SAMPLE_RATE, cents, loudest_hz, rms, sequence

CHORD = sequence([(48, 80, 0.0, 1.0), (55, 80, 0.0, 1.0), (64, 80, 0.0, 1.0)])


def _first(kind):
    return next(seed for seed in range(200) if procedural_piano.draw_piano(seed).kind == kind)


def test_oscillators_equal_the_formula_they_stand_for():
    freqs, rates = np.array([440.0, 1234.5]), np.array([3.0, 9.0])
    amplitude, beat = np.array([0.5, 0.2j]), np.array([1.5, -2.0])
    count = 100 * BLOCK
    buffer = np.zeros(count, np.float32)
    Bank(freqs, SAMPLE_RATE).add(buffer, 0, [(amplitude, rates, beat)], np.array([100, 100]),
                                 (50.0, np.array([20.0, 20.0])))
    time = np.arange(count) / SAMPLE_RATE
    damped = np.maximum(time - 50 * BLOCK / SAMPLE_RATE, 0)
    phases = np.exp((-rates + 2j * np.pi * (freqs + beat)) * time[:, None])
    expected = np.real(phases @ amplitude) * np.exp(-20 * damped)
    np.testing.assert_allclose(buffer, expected, atol=2e-3)


def test_the_same_seed_gives_the_same_audio_and_another_seed_another_piano():
    first, again = (ProceduralRenderer(5).render(CHORD, SAMPLE_RATE) for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    other = ProceduralRenderer(6).render(CHORD, SAMPLE_RATE)
    count = min(len(first.samples), len(other.samples))
    assert np.corrcoef(first.samples[:count], other.samples[:count])[0, 1] < 0.9


def test_two_hundred_pianos_are_of_all_kinds_and_plausible():
    pianos = [procedural_piano.draw_piano(seed) for seed in range(200)]
    kinds = collections.Counter(piano.kind for piano in pianos)
    assert set(kinds) == set(procedural_piano.KINDS)
    for piano in pianos:
        interval = cents(piano.f0_hz * np.sqrt(1 + piano.inharmonicity),
                         440 * 2 ** ((np.arange(88) - 48) / 12))
        assert np.all(np.abs(interval) < 110)
        assert np.all(np.diff(piano.f0_hz) > 0)
        if piano.kind in ("grand", "upright"):
            assert 5e-5 < piano.inharmonicity[39] < 5e-3


def test_timbres_differ_more_than_notes_of_one_timbre():
    def centroid(seed, velocity):
        audio = ProceduralRenderer(seed).render(sequence([(48, velocity, 0, 1)]), SAMPLE_RATE)
        power = np.abs(np.fft.rfft(audio.samples[:SAMPLE_RATE // 2])) ** 2
        return np.sum(power * np.arange(len(power)) * 2) / np.sum(power)

    centroids = [centroid(seed, 90) for seed in range(12)]
    assert max(centroids) > 3 * min(centroids)


@pytest.mark.parametrize("kind", sorted(procedural_piano.KINDS))
def test_every_kind_is_in_tune_decays_and_is_damped(kind):
    renderer = ProceduralRenderer(_first(kind), dry=True)
    audio = renderer.render(sequence([(60, 90, 0.0, 1.5)]), SAMPLE_RATE)
    f0 = renderer.piano.f0_hz[39]
    part = audio.samples[2400:24_000] * np.hanning(21_600)
    power = np.abs(np.fft.rfft(part, 16 * len(part)))
    freqs = np.arange(len(power)) * SAMPLE_RATE / (16 * len(part))
    near = np.abs(freqs - f0) < 10
    assert abs(cents(freqs[near][np.argmax(power[near])],
                     f0 * np.sqrt(1 + renderer.piano.inharmonicity[39]))) < 8
    assert power[near].max() > 10 * np.median(power)
    assert rms(audio, 1.3, 1.5) < rms(audio, 0.05, 0.25)
    assert rms(audio, 2.6, 2.9) < 0.03 * rms(audio, 0.05, 0.25)


def test_louder_notes_are_louder_and_brighter():
    renderer = ProceduralRenderer(_first("grand"), dry=True)
    soft, loud = (renderer.render(sequence([(60, v, 0, 1)]), SAMPLE_RATE) for v in (30, 110))
    def highs(audio):
        power = np.abs(np.fft.rfft(audio.samples[:12_000])) ** 2
        return power[1000:].sum() / power.sum()  # from 2 kHz on
    assert rms(loud, 0, 0.5) > 3 * rms(soft, 0, 0.5)
    assert highs(loud) > 3 * highs(soft)


def test_the_pedal_holds_and_the_treble_of_a_grand_has_no_dampers():
    renderer = ProceduralRenderer(_first("grand"), dry=True)
    pedal = [(64, 0.0, 127), (64, 2.0, 0)]
    short, held = (renderer.render(sequence([(60, 90, 0, 0.2)], p), SAMPLE_RATE)
                   for p in ((), pedal))
    assert rms(held, 1.0, 1.5) > 10 * rms(short, 1.0, 1.5)
    damped, open_ = (renderer.render(sequence([(pitch, 90, 0, 0.05)]), SAMPLE_RATE)
                     for pitch in (80, 100))
    assert rms(open_, 0.3, 0.5) / rms(open_, 0, 0.05) > 5 * (
        rms(damped, 0.3, 0.5) / rms(damped, 0, 0.05))


def test_levels_are_alike_and_nothing_clips():
    levels = []
    for seed in range(16):
        audio = ProceduralRenderer(seed).render(CHORD, SAMPLE_RATE)
        assert np.all(np.isfinite(audio.samples))
        assert np.max(np.abs(audio.samples)) <= 0.981
        levels.append(20 * np.log10(rms(audio, 0, 0.5)))
    assert max(levels) - min(levels) < 20
    loud = ProceduralRenderer(0).render(sequence([(p, 127, 0, 2) for p in range(30, 100, 2)]),
                                        SAMPLE_RATE)
    assert np.max(np.abs(loud.samples)) <= 0.981


@pytest.mark.parametrize("sample_rate", [16_000, 24_000, 44_100])
def test_pitch_and_length_do_not_depend_on_the_sample_rate(sample_rate):
    renderer = ProceduralRenderer(_first("reed"), dry=True)
    audio = renderer.render(sequence([(69, 60, 0.0, 1.0)]), sample_rate)
    part = audio.samples[: sample_rate // 2]
    strongest = np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part))))) * 2
    harmonic = strongest / renderer.piano.f0_hz[48]
    assert abs(harmonic - round(harmonic)) < 0.02
    assert audio.duration_secs == pytest.approx(1.2, abs=0.25)


def test_an_empty_performance_is_empty_audio():
    assert not len(ProceduralRenderer(0).render(sequence([]), SAMPLE_RATE).samples)


def test_a_room_falls_by_60_db_in_its_time():
    impulse = room_impulse(np.random.default_rng(0), SAMPLE_RATE, 0.8, -10.0, 20_000 / 2)
    energy = np.cumsum(impulse[1:][::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-12)
    slope = np.polyfit(np.arange(2400, 12_000) / SAMPLE_RATE, level[2400:12_000], 1)[0]
    assert -60 / slope == pytest.approx(0.8, rel=0.15)
    assert 10 * np.log10(energy[0]) == pytest.approx(-10, abs=0.01)


def test_minimum_phase_has_the_gains_it_is_asked_for():
    gains = 10 * np.sin(np.linspace(0, 6, 513))
    taps = minimum_phase(gains)
    measured = 20 * np.log10(np.abs(np.fft.rfft(taps, 1024)))
    np.testing.assert_allclose(measured, gains, atol=0.1)
    assert np.sum(taps[:64] ** 2) > 0.99 * np.sum(taps ** 2)


def test_specs_make_as_many_pianos_as_asked():
    pianos = renderers_from("procedural:5", seed=3)
    assert len({piano.timbre_id for piano in pianos}) == 5
    assert all(isinstance(piano, Renderer) for piano in pianos)
    others = {piano.timbre_id for piano in renderers_from("procedural:5", seed=4)}
    assert not others & {piano.timbre_id for piano in pianos}
    [one] = renderers_from("procedural:seed=7")
    assert one.piano.seed == 7
    for bad in ("procedural:", "procedural:0", "procedural:x", "procedural:seed="):
        with pytest.raises(ValueError, match="procedural:N"):
            renderers_from(bad)


def test_loudest_partial_of_a_tine_is_its_fundamental():
    renderer = ProceduralRenderer(_first("tine"), dry=True)
    audio = renderer.render(sequence([(60, 40, 0.0, 1.5)]), SAMPLE_RATE)
    assert abs(cents(loudest_hz(audio, 0.5, 1.4), renderer.piano.f0_hz[39])) < 5
