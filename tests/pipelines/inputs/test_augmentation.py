import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer.pipelines.inputs import piano_ddsp as inputs
from style_transfer.pipelines.inputs import wavenet
from style_transfer.pipelines.inputs.augmentation import (
    Augmentation,
    PianoChange,
    draw_piano_change,
)
from style_transfer.pipelines.inputs.crops import CropSettings
from style_transfer.pipelines.inputs.wavenet_crops import WaveNetSettings
from style_transfer.pipelines.records import examples
from tests.pipelines import tiny_pairs

RATE = tiny_pairs.RATE


def _crops(folder, **changes):
    return inputs.load_crops(folder, "train", CropSettings(sample_rate=RATE, **changes))


@pytest.fixture(scope="module")
def noises(tmp_path_factory):
    """White noise for recordings: spectra show the filter they went through."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("noises")
    tiny_pairs.write_records(folder / "x.tfrecord", [
        tiny_pairs.example(name, 40.0, seed, audio_lib.Audio(
            0.1 * rng.standard_normal(40 * RATE).astype(np.float32), RATE))
        for seed, name in enumerate("xy")])
    return str(folder)


def _ddsp_pair(folder, augmentation, epoch):
    x, y, _ = _crops(folder, crop_secs=16.0, style_secs=16.0,
                     augmentation=augmentation).make(0, epoch)
    return x["style_audio"], y


def _clip_pair(folder, augmentation, epoch):
    x, y = wavenet.load_crops(folder, "train", WaveNetSettings(
        sample_rate=RATE, crop_secs=16.0, style_secs=16.0, piano="clip",
        augmentation=augmentation)).make(0, epoch)
    np.testing.assert_allclose(20 * np.log10(np.std(y["audio"])), -20, atol=0.5)
    return x["style_audio"], y["audio"] * 10 ** (-5 / 20)


@pytest.mark.parametrize("pair", [_ddsp_pair, _clip_pair])
def test_equalizer_and_room_change_style_and_target_alike(noises, pair):
    augmentation = Augmentation(eq_db=8, noise_db=None, gain_db=0, tuning_cents=0,
                                room_probability=0.0)
    bands = np.geomspace(80, 3800, 13)

    def levels(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        edges = (bands / (RATE / 2) * len(power)).astype(int)
        return np.array([10 * np.log10(power[a:b].mean())
                         for a, b in zip(edges[:-1], edges[1:], strict=True)])

    shapes = []
    for epoch in range(4):
        style, target = map(levels, pair(noises, augmentation, epoch))
        np.testing.assert_allclose(style, target, atol=1.0)
        shapes.append(style - style.mean())
    assert max(np.ptp(shape) for shape in shapes) > 6
    assert np.abs(shapes[0] - shapes[1]).max() > 3


def test_clips_of_wavenets_are_not_retuned():
    with pytest.raises(ValueError, match="with tuning_cents=0; got piano='clip'"):
        WaveNetSettings(piano="clip", augmentation=Augmentation())


def test_room_before_the_crop_rings_into_it():
    response = np.zeros(101, np.float32)
    response[[0, 100]] = 1.0, 0.5
    change = PianoChange(1.0, response)
    samples = np.zeros(change.history_samples + 200, np.float32)
    samples[50] = 1.0  # half a response before the crop
    out = change.apply(samples)
    assert len(out) == 200 and np.flatnonzero(np.abs(out) > 1e-4).tolist() == [50]


def test_tuning_moves_pitch_audio_and_times_together(tmp_path):
    secs, f0 = 30.0, 1000.0
    time = np.arange(int(secs * RATE)) / RATE
    audio = audio_lib.Audio(0.3 * np.sin(2 * np.pi * f0 * time), RATE)
    tiny_pairs.write_records(tmp_path / "x.tfrecord", [
        tiny_pairs.example(name, secs, seed, audio) for seed, name in enumerate("xy")])
    augmentation = Augmentation(eq_db=0, noise_db=None, gain_db=0, room_probability=0,
                                tuning_cents=80)
    crops = _crops(str(tmp_path), crop_secs=4.0, style_secs=4.0, max_notes=64,
                   augmentation=augmentation)
    speeds = []
    for epoch in range(4):
        x, y, origin = crops.make(0, epoch)
        speed = x["f0_hz"][48] / 440
        for samples in (x["style_audio"], y):
            peak = np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 19)))
            assert abs(peak * RATE / (1 << 19) - f0 * speed) < 0.1
        start, end = origin["target_secs"]
        assert abs((end - start) - 4.0 * speed) < 1e-5
        kept = examples.read_notes(crops.references[crops.eligible[0]])
        struck = kept.onset_secs[(kept.onset_secs < end) & (kept.damped_secs > start)]
        np.testing.assert_allclose(x["note_onset_secs"][:len(struck)], (struck - start) / speed,
                                   atol=1e-5)
        speeds.append(speed)
    assert np.ptp(speeds) > 0.005


def test_augmentation_of_zero_changes_nothing():
    off = Augmentation(0, 0, tuning_cents=0, noise_db=None, gain_db=0)
    assert draw_piano_change(off, np.random.default_rng(0), RATE) == PianoChange(1.0, None)
