"""Content stays, the sound becomes the style's, whatever the lengths; figures, not shapes."""

import pathlib

import numpy as np
import pytest
import scipy.signal
from keras import ops

from style_transfer import audio as audio_lib
from style_transfer import configs
from style_transfer import content as content_lib
from style_transfer.audio import Audio
from style_transfer.evaluation import metrics
from style_transfer.models import base
from style_transfer.models.ulyanov import net as net_lib
from style_transfer.models.ulyanov import optimize, spectrogram
from style_transfer.synthesis import neutral_piano
from style_transfer.training.gradients import value_and_gradient
from tests import model_case
from tests.commands import run_command
from tests.evaluation import evaluation_signals as signals

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
RATE = 16_000
SCALE = ((0.1, 57, 0.9, 0.7), (0.5, 60, 0.7, 0.9), (0.9, 64, 0.9, 1.6))


def played(tilt, notes=signals.MELODY, secs=2.0):
    return Audio(signals.tones(notes, secs, RATE, tilt=tilt), RATE)


@pytest.fixture(scope="module")
def net():
    made = net_lib.RandomFeatures(num_filters=48, kernel_size=3, sample_rate=RATE)
    made.build()
    return made


def far(one, other):
    """Mean difference of long-term mel spectra, dB."""
    levels = []
    for clip in (one, other):
        power = np.mean(np.square(metrics.Clip(clip).magnitude(2048)), axis=1)
        level = 10 * np.log10(metrics.mel_filters(2048, 64) @ power + 1e-30)
        levels.append(np.maximum(level, level.max() - 60))
    return np.mean(np.abs(levels[0] - levels[1]))


def chroma(audio):
    """Pitch class of the loudest partial in each tenth of a second."""
    step = audio.sample_rate // 10
    frames = audio.samples[:len(audio.samples) // step * step].reshape(-1, step)
    power = np.abs(np.fft.rfft(frames * np.hanning(step), 32_768, axis=1)) ** 2
    hz = np.fft.rfftfreq(32_768, 1 / audio.sample_rate)
    near = (hz > 100) & (hz < 1000)
    return np.round(12 * np.log2(hz[near][np.argmax(power[:, near], axis=1)] / 440)) % 12


@pytest.fixture(scope="module")
def transfers():
    """A piece, two pianos, and what is made of the piece for the one, both and the other."""
    table = content_lib.content_notes(EXAMPLES / "traeumerei.mid")
    piece = neutral_piano.play(table, 24_000)
    piece = Audio(piece.samples[24_000:84_000], 24_000)
    bright = audio_lib.load(EXAMPLES / "electric_grand.flac", 24_000)
    bright = Audio(bright.samples[:96_000], 24_000)
    dark = Audio(scipy.signal.sosfilt(scipy.signal.butter(4, 700, fs=24_000, output="sos"),
                                      bright.samples), 24_000)
    net = net_lib.RandomFeatures(num_filters=192)
    net.build()
    settings = optimize.Settings(15, 10.0)
    return piece, bright, dark, [optimize.transfer(net, piece, [bright, dark], weights, settings)
                                 for weights in ((1, 0), (1, 1), (0, 1))]


def test_the_layer_is_one_that_keras_can_keep(tmp_path):
    model_case.check_model(
        net_lib.RandomFeatures, {"num_filters": 4, "kernel_size": 3, "sample_rate": 8000},
        np.ones((1, 5, spectrogram.NUM_BINS), np.float32), (1, 3, 4),
        {"num_filters": 5, "kernel_size": 4, "sample_rate": 9000, "seed": 1}, tmp_path)
    model_case.check_layer(
        net_lib.FixedFilters, {"num_filters": 4, "kernel_size": 3},
        (np.ones((1, 5, 6), np.float32),), (1, 3, 4),
        {"num_filters": 5, "kernel_size": 4, "seed": 1}, tmp_path)


@pytest.mark.parametrize("taps, frames", [(1, 5), (3, 3), (3, 29), (11, 47)])
def test_filters_give_what_a_convolution_gives(taps, frames):
    x = np.random.default_rng(0).normal(size=(2, frames, 5)).astype("f")
    layer = net_lib.FixedFilters(4, taps)
    made = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(made, ops.conv(x, layer.kernel), atol=1e-5)
    assert made.std() > 0.1


def test_filters_are_scaled_as_their_authors_have_them(net):
    kernel = ops.convert_to_numpy(net.filters.kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2) * np.sqrt(2 / ((1025 + 48) * 3)), rel=0.02)


def test_a_gram_matrix_does_not_depend_on_the_length():
    features = np.random.default_rng(0).uniform(size=(7, 3)).astype("f")
    once, twice = (ops.convert_to_numpy(optimize.gram(ops.convert_to_tensor(
        np.tile(features, (n, 1))))) for n in (1, 2))
    np.testing.assert_allclose(once, features.T @ features / 7, rtol=1e-5)
    np.testing.assert_allclose(twice, once, rtol=1e-5)


def test_the_gradient_is_that_of_differences(net):
    content, style = (ops.convert_to_numpy(spectrogram.log_power(spectrogram.transform(
        spectrogram.scaled(played(tilt, secs=0.7).samples, 0.1)))) for tilt in (1.5, 0.7))
    features, textures = net.features(content)[0], net.features(style)[1]
    loss = value_and_gradient(lambda x: sum(optimize.losses(
        net, x, features, [optimize.gram(t) for t in textures])))
    value, gradient = loss(content)
    assert gradient.shape == content.shape and value > 0
    step = 1e-2 * gradient / np.linalg.norm(gradient)
    rise = (loss(content + step)[0] - loss(content - step)[0]) / 2
    assert rise == pytest.approx(np.sum(gradient * step), rel=0.02)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_falls_and_is_told(net, optimizer):
    told = []
    optimize.transfer(net, played(2.0), [played(0.7, SCALE)],
                      settings=optimize.Settings(12, 1.0, optimizer),
                      progress=lambda *values: told.append(values))
    steps, totals, losses = zip(*told, strict=True)
    assert steps == tuple(range(1, len(told) + 1)) and set(totals) == {12} and len(told) <= 12
    assert losses[-1] < 0.9 * losses[0]


def test_the_sound_becomes_the_styles_and_the_notes_stay(transfers):
    piece, bright, dark, (for_bright, _, for_dark) = transfers
    for made, style, other in ((for_bright, bright, for_dark), (for_dark, dark, for_bright)):
        assert len(made.samples) == len(piece.samples), "lengths of content and style differ"
        assert far(made, style) < far(piece, style)
        assert far(made, style) < far(other, style)
        assert np.mean(chroma(made) == chroma(piece)) > 0.8
        assert np.mean(chroma(style)[:25] == chroma(piece)) < 0.5
    assert far(for_bright, bright) < 0.9 * far(piece, bright)
    assert for_bright.rms_db == pytest.approx(bright.rms_db, abs=0.1)


def test_several_styles_count_as_they_are_weighted(transfers):
    _, bright, dark, made = transfers
    nearness = [far(one, bright) - far(one, dark) for one in made]
    assert nearness[0] < nearness[1] < nearness[2]


def test_without_style_the_content_comes_back(net):
    content = played(1.2)
    made = optimize.transfer(net, content, [content], settings=optimize.Settings(3, 0.0))
    error = np.sum((made.samples - content.samples) ** 2) / np.sum(content.samples ** 2)
    assert 10 * np.log10(error) < -25


def test_long_pieces_go_window_by_window_without_a_seam(net, monkeypatch):
    content = played(1.2, secs=3.0)
    monkeypatch.setattr(optimize, "WINDOW_SECS", 1.5)
    assert optimize._windows(3 * RATE, RATE) == [(0, 24_000), (16_000, 48_000)]
    made = optimize.transfer(net, content, [content], settings=optimize.Settings(2, 0.0))
    error = (made.samples - content.samples) ** 2
    seam = slice(16_000, 24_000)  # where windows are faded
    for part in (seam, slice(None)):
        loud = np.sum(content.samples[part] ** 2)
        assert 10 * np.log10(np.sum(error[part]) / loud) < -20


@pytest.mark.parametrize("num_samples", [RATE // 2, 20 * RATE, 20 * RATE + 1, 40 * RATE + 9])
def test_windows_cover_everything_and_none_is_too_short(num_samples):
    windows = optimize._windows(num_samples, RATE)
    assert windows[0][0] == 0 and windows[-1][1] == num_samples
    for (_, end), (start, _) in zip(windows, windows[1:], strict=False):
        assert end - start == optimize.FADE_SECS * RATE
    assert min(end - start for start, end in windows) >= optimize.MINIMUM_SECS * RATE


def test_what_cannot_be_used_is_said(net):
    clip = played(1.0)
    with pytest.raises(ValueError, match="lasts 0.10 s"):
        optimize.transfer(net, Audio(clip.samples[:RATE // 10], RATE), [clip])
    with pytest.raises(ValueError, match="style clip is silent"):
        optimize.transfer(net, clip, [Audio(np.zeros(RATE), RATE)])
    for weights in ((1, 2), (-1,), (0,)):
        with pytest.raises(ValueError, match="one positive number for each"):
            optimize.transfer(net, clip, [clip], weights)


def test_nothing_trained_needs_no_weights_and_what_is_trained_does():
    model = base.load_weights(configs.get("ulyanov"))
    assert (model.num_filters, model.sample_rate) == (1024, 24_000)
    with pytest.raises(FileNotFoundError, match="no weights of midi2wave"):
        base.load_weights(configs.get("midi2wave"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    audio_lib.save(folder / "piece.wav", played(2.0, secs=1.0))
    audio_lib.save(folder / "bright.wav", played(0.6, SCALE))
    audio_lib.save(folder / "dark.wav", played(4.0, SCALE))
    return folder


def test_the_command_writes_audio_and_picture_and_tells_the_loss(clips, tmp_path):
    status, out, err = run_command(
        "style_transfer_generate", "--config=ulyanov", f"--content={clips / 'piece.wav'}",
        f"--style={clips / 'bright.wav'},{clips / 'dark.wav'}", "--style_mix=2,1",
        "--num_iterations=3", "--num_filters=16", f"--output_dir={tmp_path}", "--seed=3")
    assert status == 0, err or out
    assert "loss " in out and "1 read, 1 written" in out
    made = audio_lib.load(tmp_path / "piece.wav")
    assert made.sample_rate == 24_000 and made.duration_secs == pytest.approx(1.0)
    assert (tmp_path / "piece.png").stat().st_size > 10_000


def test_notes_are_played_first_and_the_trained_encoder_listens(clips, tmp_path):
    status, out, err = run_command(
        "style_transfer_generate", "--config=ulyanov_encoder", "--nopicture",
        "--content=tests/midi/cases/off_in_other_track.mid", f"--style={clips / 'bright.wav'}",
        "--num_iterations=1", f"--output_dir={tmp_path}")
    assert status == 0, err or out
    assert audio_lib.load(tmp_path / "off_in_other_track.wav").rms_db > -60


@pytest.mark.parametrize("flags, message", [
    (["--style_mix=1"], "1 numbers for 2 style clips"), (["--style_mix=a,b"], "expected numbers"),
    (["--style=nowhere.wav"], "no style clip")])
def test_wrong_flags_are_refused_before_any_work(flags, message, clips, tmp_path):
    status, _, err = run_command(
        "style_transfer_generate", "--config=ulyanov", f"--content={clips / 'piece.wav'}",
        f"--style={clips / 'bright.wav'},{clips / 'dark.wav'}", f"--output_dir={tmp_path}", *flags)
    assert status == 1 and message in err
