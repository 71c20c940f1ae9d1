import keras
import numpy as np
import pytest
from keras import ops

from style_transfer.models.piano_ddsp import adaptation
from style_transfer.signal import spectral
from style_transfer.synthesis import expected_power
from tests import pianos

RATE = 24_000


def crop(table, secs=1.4, max_notes=16):
    """A batch of one: the inputs of `PianoDDSP.play`."""
    from style_transfer import piano_roll

    frames = int(secs * piano_roll.FRAMES_PER_SECOND)
    inputs = adaptation.note_arrays(table, 0.0, secs, max_notes)
    inputs["roll"] = piano_roll.roll(table, 0.0, frames)
    inputs["f0_hz"] = pianos.EQUAL_HZ
    inputs["inharmonicity"] = np.full(88, 3e-4, np.float32)
    return {name: value[None] for name, value in inputs.items()}


@pytest.mark.parametrize("size", [512, 2048])
def test_a_steady_sine_has_the_power_of_its_windowed_dft(size):
    for hz in (1000.0, 1003.7, 4321.0):
        audio = np.cos(2 * np.pi * hz * np.arange(4096) / RATE + 0.4).astype(np.float32)
        true = ops.convert_to_numpy(spectral.compute_mag(audio[None], size, pad_end=False))[0, 0]
        ours = expected_power.tone_powers(np.array([[hz]], np.float32), np.ones((1, 1, 1), "f"),
                                          size, RATE)
        ours = np.sqrt(ops.convert_to_numpy(ours)[0, :, 0])
        heard = ours > 0
        np.testing.assert_allclose(ours[heard], true[heard], rtol=0.02, atol=0.002 * true.max())
        assert true[~heard].max() < 0.03 * true.max()


def test_noise_has_the_mean_power_of_what_is_played():
    from style_transfer.synthesis import modal

    rng = np.random.default_rng(0)
    power = np.geomspace(1e-4, 1e-2, 12)[None, None].repeat(200, axis=1).astype(np.float32)
    noise = rng.standard_normal((1, 200, 256)).astype(np.float32)
    audio = modal.filtered_noise(noise, power, 27.5, 11_500.0, RATE)
    true = ops.convert_to_numpy(spectral.compute_mag(audio, 512, pad_end=False))[0] ** 2
    ours = expected_power.noise_powers(power[:, :1].transpose(0, 2, 1), 512, 27.5, 11_500.0, RATE)
    ratio = true.mean(axis=0)[4:240] / ops.convert_to_numpy(ours)[0, 4:240, 0]
    smooth = np.convolve(ratio, np.ones(20) / 20, "valid")
    np.testing.assert_allclose(smooth, 1.0, atol=0.15)


def test_a_room_adds_the_power_of_its_tail():
    from style_transfer.synthesis import modal

    level, decay = np.full((1, 16), 0.02, "f"), np.full((1, 16), 8.0, "f")
    response = modal.room_response(level, decay, modal.room_noise(16, 4800, 27.5, 11_500.0, RATE),
                                   RATE)
    rng = np.random.default_rng(0)
    dry = rng.standard_normal((1, 6 * RATE)).astype(np.float32)
    wet = ops.convert_to_numpy(modal.convolve(dry, response))[0, RATE:]
    dry_power = np.full((1, 257, 64), 1.0, "f")
    ours = expected_power.in_room(dry_power, level, decay, 256, 27.5, 11_500.0, RATE, 0.2)
    added = ops.convert_to_numpy(ours)[0, 60:200, -1].mean()
    np.testing.assert_allclose(wet.var(), added, rtol=0.1)


def test_expected_magnitudes_are_those_of_many_renderings():
    model = pianos.tiny_model()
    inputs = crop(pianos.notes((30, 0.8, 0.1, 1.2), (37, 0.5, 0.35, 0.9), (49, 0.6, 0.5, 1.4)))
    style = np.linspace(-0.5, 0.5, 8)[None].astype(np.float32)
    played = [model.play(style, inputs) for _ in range(24)]
    expected = model.expected_magnitudes(style, inputs, None, 256)
    for size, ours in expected.items():
        power = np.mean([ops.convert_to_numpy(spectral.sparse_mag(audio, size))[0] ** 2
                         for audio in played], axis=0)
        ours = ops.convert_to_numpy(ours)[0]
        assert ours.shape == power.shape
        strong = power > 1e-3 * power.max()
        difference_db = 20 * np.log10(ours[strong]) - 10 * np.log10(power[strong])
        assert abs(np.median(difference_db)) < 0.7
        assert np.mean(np.abs(difference_db)) < 2.0


def test_expected_magnitudes_follow_the_style():
    model = pianos.tiny_model()
    inputs = crop(pianos.notes((30, 0.8, 0.1, 1.2), (49, 0.6, 0.5, 1.4)))
    style = keras.Variable(np.zeros((1, 8), np.float32))
    before = model.expected_magnitudes(style, inputs, None, 256)[512]
    style.assign(np.ones((1, 8), np.float32))
    after = model.expected_magnitudes(style, inputs, None, 256)[512]
    assert np.max(np.abs(np.asarray(before) - np.asarray(after))) > 0.01 * np.max(before)
    np.testing.assert_allclose(model({**inputs, "style_audio": np.ones((1, RATE), "f")},
                                     training=True)[512].shape, before.shape)
