"""A sampled piano sounds like the model when our own SFZ renderer plays it."""

import dataclasses

import numpy as np
import pytest
import soundfile

from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.evaluation import metrics
from style_transfer.measure import high_band, stereo
from style_transfer.models.piano_ddsp import instrument, playing
from style_transfer.pipelines.rendering.sfz import SfzRenderer
from tests import pianos

RATE = 24_000
PITCHES = (60, 64, 67)
BETWEEN_NODES_SECS = 64 / RATE


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    told = []
    made = instrument.save(
        model, pianos.piano(name="A\npiano"), tmp_path_factory.mktemp("sfz") / "x",
        velocities=(24, 64, 104), pitches=PITCHES, progress=lambda *done: told.append(done))
    assert told == [("sampling", i, 3) for i in range(3)]
    return made


@pytest.fixture(scope="module")
def renderer(path):
    return SfzRenderer(path)


def own(model, table, secs, seed=0):
    samples = np.concatenate(list(playing.play(model, pianos.piano(), table, seed)))
    return samples[:int(secs * RATE)]


def sampled(renderer, table, secs):
    samples = renderer.render(piano_roll.to_sequence(table), RATE).samples
    return np.pad(samples, (0, max(0, int(secs * RATE) - len(samples))))[:int(secs * RATE)]


def distance(ours, true):
    clips = [metrics.Clip(Audio(np.float32(samples), RATE), len(true) * 2 // 3)
             for samples in (ours, true)]
    return metrics.log_mel_l1(*clips, 60.0)


def test_what_a_sampler_cannot_do_is_said(model, tmp_path):
    piano = pianos.piano().with_effects(coupling=0.2)
    with pytest.warns(UserWarning, match="Samplers know neither"):
        instrument.save(model, piano, tmp_path / "x", velocities=(64,), pitches=(60,))


def test_each_key_is_there_at_each_velocity_and_once_for_its_release(path, renderer):
    names = sorted(file.name for file in (path.parent / "samples").iterdir())
    assert len(names) == 3 * (3 + 1) and "060_v024.flac" in names and "060_release.flac" in names
    assert path.name == "x.sfz" and renderer.ignored == []
    assert renderer.pitches == frozenset(range(21, 109))  # the others are shifted
    for name in names:
        samples, rate = soundfile.read(path.parent / "samples" / name)
        assert rate == RATE and 0.9 < np.max(np.abs(samples)) <= 1


@pytest.mark.parametrize("velocity", [24, 50, 64, 90, 104])
def test_a_note_has_the_models_sound_and_level(model, renderer, velocity):
    """Between two samples, too; noise and phases of the piano are other ones each time."""
    reference = pianos.notes((43, 64 / 127, BETWEEN_NODES_SECS, 1.0))
    table = pianos.notes((43, velocity / 127, BETWEEN_NODES_SECS, 1.0))
    found, true = (sampled(renderer, table, 1.0), own(model, table, 1.0))
    assert distance(found, true) < 2.5
    levels = [20 * np.log10(np.std(x) / np.std(y)) for x, y in (
        (found, sampled(renderer, reference, 1.0)), (true, own(model, reference, 1.0)))]
    assert levels[0] == pytest.approx(levels[1], abs=1.0)


@pytest.mark.parametrize("held", [0.25, instrument.HELD_SECS, 1.5])
def test_a_released_note_dies_away_as_the_models_does(model, renderer, held):
    table = pianos.notes((39, 0.55, 0.0, held))
    found, true = sampled(renderer, table, held + 1), own(model, table, held + 1)
    gain = np.std(true[:int(held * RATE)]) / np.std(found[:int(held * RATE)])
    for after in (0.03, 0.1, 0.25):
        part = slice(int((held + after) * RATE), int((held + after + 0.05) * RATE))
        found_db, true_db = (20 * np.log10(np.std(x[part]) + 1e-7) for x in (gain * found, true))
        assert found_db == pytest.approx(true_db, abs=3.5 if true_db > -70 else 20), after


def test_the_pedal_holds_samples(renderer):
    table = pianos.notes((39, 0.55, 0.0, 0.2, 2.0))
    held = dataclasses.replace(table, pedals=piano_roll.Pedals(
        (np.array([0.0, 2.0]), np.array([1.0, 0.0], np.float32)), *piano_roll.no_pedals()[1:]))
    assert np.std(sampled(renderer, held, 2.0)[RATE:]) > 3 * np.std(sampled(
        renderer, dataclasses.replace(table, damped_secs=table.release_secs), 2.0)[RATE:])


def test_what_is_there_is_not_replaced_and_other_weights_are_refused(model, path):
    with pytest.raises(FileExistsError, match="is there already"):
        instrument.save(model, pianos.piano(), path.parent)
    with pytest.raises(ValueError, match="weights 'other'"):
        instrument.save(model, pianos.piano(weights="other"), path.parent / "new")
    assert not (path.parent / "new").exists()


def test_a_cancelled_export_leaves_nothing(model, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        instrument.save(model, pianos.piano(), tmp_path / "x", velocities=(64,), pitches=(60,),
                        progress=stop)
    assert not list(tmp_path.iterdir())


def test_samples_of_a_stereo_piano_stand_where_it_does_at_its_rate(model, tmp_path):
    pan = np.repeat(np.linspace(0.4, -0.4, 8)[:, None], 8, axis=1)
    piano = pianos.piano(image=stereo.Image(pan, np.square(pan), np.full(8, 0.3)),
                         high_band_db=np.zeros(high_band.NUM_BANDS, np.float32))
    written = instrument.save(model, piano, tmp_path / "x", velocities=(64,), pitches=(25, 100))
    for pitch, expected in ((25, 0.363), (100, -0.326)):
        samples, rate = soundfile.read(written.parent / "samples" / f"{pitch:03d}_v064.flac")
        assert rate == 44_100 and samples.shape[1] == 2
        # The first partial: hammer and room are in the middle.
        spectra = np.abs(np.fft.rfft(samples[:22_050].T * np.hanning(22_050)))
        place = round(pianos.EQUAL_HZ[pitch - 21] / 2)
        levels = np.max(spectra[:, place - 3:place + 4], axis=1)
        assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(
            20 * np.log10((1 + expected) / (1 - expected)), abs=1.0)
    mono = instrument.save(model, piano, tmp_path / "y", velocities=(64,), pitches=(60,),
                           channels=1)
    assert soundfile.info(mono.parent / "samples" / "060_v064.flac").channels == 1
