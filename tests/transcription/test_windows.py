import numpy as np
import pytest

from style_transfer.models.onsets_frames.harmonic_transcriber import HarmonicTranscriber
from style_transfer.transcription import windows

HALF = 1e-3  # two float16 numbers that were next to each other before rounding


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(3)
    model = HarmonicTranscriber(width=4, dilations=(1, 2), frame_dilations=(2,), related=2,
                                fft_sizes=(1024, 512))
    model.build()
    return model


def recording(secs, seed=0):
    """Noise with a tone in it, float32 at 16 kHz."""
    time = np.arange(int(16_000 * secs)) / 16_000
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.02 * noise + 0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


@pytest.mark.parametrize("window_secs", [1.4, 1.7, 2.3])
def test_outputs_do_not_depend_on_the_windows(model, window_secs):
    samples = recording(3.21)
    whole = windows.probabilities(model, samples, 10.0)
    pieces = windows.probabilities(model, samples, window_secs)
    assert whole.keys() == pieces.keys()
    for name, values in whole.items():
        assert values.shape[0] == 1 + len(samples) // 320
        assert np.allclose(values, pieces[name], rtol=HALF, atol=1e-5), name


def test_the_middle_is_what_the_model_says_of_the_whole(model):
    from scipy.special import expit

    samples = recording(3.0)
    direct = expit(np.asarray(model(samples[None])["frame"])[0])
    windowed = windows.probabilities(model, samples, 1.5)["frame"]
    inside = slice(30, -30)
    assert np.allclose(direct[inside], windowed[inside], rtol=HALF, atol=1e-5)
    assert np.std(direct[inside]) > 5e-3


def test_progress_ends_with_the_whole_recording(model):
    seen = []
    windows.probabilities(model, recording(2.0), 1.5, lambda *secs: seen.append(secs))
    assert seen[-1] == (pytest.approx(2.0), pytest.approx(2.0))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_windows_within_the_context_are_refused(model):
    with pytest.raises(ValueError, match="too short"):
        windows.probabilities(model, recording(1.0), model.context_secs)


@pytest.mark.parametrize(("secs", "heard"), [(1.0, [2.5]), (7.5, [10.0]), (30.0, [32.5]),
                                             (56.0, [30.0] * 2), (90.0, [32.5] * 3)])
def test_windows_are_no_longer_than_the_recording_needs(model, monkeypatch, secs, heard):
    lengths = []

    def listening(model):
        def compiled(audio):
            lengths.append(audio.shape[1] / model.sample_rate)
            frames = 1 + audio.shape[1] // model.hop_length
            return {"velocity": np.zeros((1, frames, 88), np.float32)}

        return compiled

    monkeypatch.setattr(windows, "_compiled", listening)
    outputs = windows.probabilities(model, np.zeros(int(secs * 16_000), np.float32))
    assert lengths == pytest.approx(heard, abs=0.03)
    assert len(outputs["velocity"]) == 1 + int(secs * 50)
