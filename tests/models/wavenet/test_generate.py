import json
import pathlib

import keras
import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import configs, piano_roll, pictures, weights
from style_transfer.models import base
from style_transfer.models.wavenet import generate as run
from style_transfer.models.wavenet import inputs, options
from style_transfer.models.wavenet.net import WaveNet
from style_transfer.models.wavenet.spectral_wavenet import SpectralWaveNet
from tests.pipelines import tiny_pairs

RATE = 8000
SIZES = {"sample_rate": RATE, "num_layers": 3, "dilation_cycle": 3, "residual_channels": 8,
         "skip_channels": 8, "hidden_channels": 8, "num_mixtures": 2, "context_layers": 2,
         "context_channels": 8, "upsampling": "linear"}


def tiny_model(**changes):
    """A small WaveNet with random weights, large enough that rolls are heard."""
    keras.utils.set_random_seed(0)
    model = WaveNet(**{**SIZES, **changes})
    model.build(None)
    model.condition.kernel.assign(3 * np.random.default_rng(0).normal(
        size=model.condition.kernel.shape))
    model.weights_name = "tiny"
    return model


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def pieces(tmp_path):
    """Two MIDI files, of which the first has its recording."""
    tables = [tiny_pairs.table(1.0 + 0.5 * i, seed=i, step_secs=0.1) for i in range(2)]
    for name, table in zip("ab", tables, strict=True):
        tiny_pairs.write_midi(tmp_path / f"{name}.mid", table)
    audio_lib.save(tmp_path / "a.wav", tiny_pairs.sound(tables[0], 1.0, RATE))
    return tmp_path


def made(model, contents, folder, lines=None, **changes):
    kind = options.SpectralOptions if isinstance(model, SpectralWaveNet) else options.Options
    given = kind(content=tuple(map(str, contents)), output_dir=str(folder),
                 **{"length_secs": 0.6, "picture": False, **changes})
    report = lambda line, again=False: None if lines is None or again else lines.append(line)  # noqa: E731
    summary = run.generate(model, given, report)
    return summary, {path.stem: audio_lib.load(path).samples
                     for path in sorted(pathlib.Path(folder).glob("*.wav"))}


def test_two_midis_with_one_seed_give_different_audio(model, pieces, tmp_path):
    summary, found = made(model, [pieces / "a.mid", pieces / "b.mid"], tmp_path / "out")
    assert (summary.written, set(found)) == (2, {"a", "b"})
    assert np.abs(found["a"] - found["b"]).max() > 0.01
    _, same = made(model, [pieces / "a.mid"], tmp_path / "same")
    np.testing.assert_array_equal(same["a"], found["a"])
    _, other = made(model, [pieces / "a.mid"], tmp_path / "other", seed=1)
    assert np.abs(other["a"] - found["a"]).max() > 0.01


def test_a_piece_sounds_the_same_whatever_is_made_with_it(pieces, tmp_path):
    model = tiny_model()
    rng = np.random.default_rng(0)
    for variable in model.context.trainable_variables:  # without biases silence is no input at all
        variable.assign(np.asarray(variable) + rng.normal(0, 0.5, variable.shape))
    contents = [pieces / "a.mid", pieces / "b.mid"]  # of 1 and 1.5 s
    _, together = made(model, contents, tmp_path / "all", length_secs=None)
    for path in contents:
        _, alone = made(model, [path], tmp_path / path.stem, length_secs=None)
        np.testing.assert_array_equal(alone[path.stem], together[path.stem])


def test_notes_ring_at_a_share_of_the_temperature_unless_told_otherwise(model, pieces, tmp_path):
    given = {"plain": {"sustain_temperature": 0.9}, "share": {},
             "told": {"sustain_temperature": 0.9 * options.SUSTAIN_SHARE}}
    found = {name: made(model, [pieces / "a.mid"], tmp_path / name, temperature=0.9,
                        **changes)[1]["a"]
             for name, changes in given.items()}
    np.testing.assert_array_equal(found["share"], found["told"])
    assert np.abs(found["share"] - found["plain"]).max() > 0.01


def test_wav_midi_and_picture_are_written_and_speed_is_said(model, pieces, tmp_path):
    lines = []
    made(model, [pieces / "a.mid"], tmp_path / "out", lines, picture=True)
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"a.wav", "a.mid", "a.png"}
    assert audio_lib.load(tmp_path / "out" / "a.wav").sample_rate == RATE
    table = piano_roll.note_table(piano_roll.load_midi(str(tmp_path / "out" / "a.mid")))
    assert len(table) == len(tiny_pairs.table(1.0, seed=0, step_secs=0.1))
    assert any("samples/s" in line and "real-time factor" in line for line in lines)


def test_whole_pieces_last_as_long_as_their_notes(model, pieces, tmp_path):
    _, found = made(model, [pieces / "a.mid", pieces / "b.mid"], tmp_path / "out", length_secs=None)
    for name, seed, secs in (("a", 0, 1.0), ("b", 1, 1.5)):
        end = tiny_pairs.table(secs, seed=seed, step_secs=0.1).end_secs + piano_roll.TAIL_SECS
        assert abs(len(found[name]) / RATE - end) < 0.01


def test_the_primer_begins_the_audio_and_the_rest_runs_freely(model, pieces, tmp_path):
    recording = inputs.at_level(audio_lib.load(pieces / "a.wav")).samples
    primer = {"primer_audio": (str(pieces / "a.wav"),), "primer_secs": 0.4}
    _, found = made(model, [pieces / "a.mid"], tmp_path / "out", **primer)
    np.testing.assert_allclose(found["a"][:int(0.4 * RATE)], recording[:int(0.4 * RATE)],
                               atol=1e-4)
    assert np.abs(found["a"][int(0.4 * RATE):] - recording[int(0.4 * RATE):int(0.6 * RATE)]).max() \
        > 0.01
    _, silent = made(model, [pieces / "a.mid"], tmp_path / "silent")
    assert np.abs(silent["a"] - found["a"]).max() > 0.01


def test_teacher_forced_audio_is_as_long_as_the_recording_and_drawn(model, pieces, tmp_path):
    _, found = made(model, [pieces / "a.mid"], tmp_path / "out", length_secs=None,
                    teacher_forced=True, primer_audio=(str(pieces / "a.wav"),))
    recording = inputs.at_level(audio_lib.load(pieces / "a.wav")).samples
    assert len(found["a"]) == len(recording) == RATE
    assert np.abs(found["a"] - recording).max() > 0.01


def test_outputs_that_exist_are_kept_and_bad_pieces_skipped(model, pieces, tmp_path):
    (pieces / "bad.mid").write_bytes(b"MThd, but no more")
    made(model, [pieces / "a.mid"], tmp_path / "out")
    before = (tmp_path / "out" / "a.wav").read_bytes()
    lines = []
    summary, _ = made(model, [pieces / "a.mid", pieces / "bad.mid", pieces / "b.mid"],
                      tmp_path / "out", lines)
    assert (summary.kept, summary.skipped, summary.written) == (1, 1, 1)
    assert (tmp_path / "out" / "a.wav").read_bytes() == before
    assert any("bad.mid" in line and "skipped" in line for line in lines)
    made(model, [pieces / "a.mid"], tmp_path / "out", seed=3, overwrite=True)
    assert (tmp_path / "out" / "a.wav").read_bytes() != before


def test_what_somebody_else_wrote_is_not_replaced(model, pieces, tmp_path):
    out, lines = tmp_path / "out", []
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    summary, _ = made(model, [pieces / "a.mid", pieces / "b.mid"], out, lines, picture=True)
    assert (summary.skipped, summary.written) == (0, 2)
    assert (out / "a.png").read_bytes() == b"mine"
    assert any(f"wrote {out / 'a-2.wav'}" in line for line in lines)
    recording = (pieces / "a.wav").read_bytes()
    made(model, [pieces / "a.mid"], pieces, overwrite=True, primer_audio=(str(pieces / "a.wav"),),
         primer_secs=0.3)
    assert (pieces / "a.wav").read_bytes() == recording and (pieces / "a-2.wav").exists()


def test_a_piece_that_cannot_be_written_leaves_the_others(model, pieces, tmp_path):
    out, lines = tmp_path / "out", []
    (out / "a.mid").mkdir(parents=True)
    summary, found = made(model, [pieces / "a.mid", pieces / "b.mid"], out, lines, overwrite=True)
    assert (summary.skipped, summary.written) == (1, 1) and "b" in found
    assert any("skipped" in line and "a.mid" in line for line in lines)
    with pytest.raises(ValueError, match="b.wav is a file. Give another folder"):
        made(model, [pieces / "a.mid"], out / "b.wav" / "within")


def test_less_than_a_frame_is_a_frame(model, pieces, tmp_path):
    _, found = made(model, [pieces / "a.mid"], tmp_path / "out", length_secs=1e-5)
    assert len(found["a"]) == RATE // 250


@pytest.mark.parametrize(("given", "message"), [
    ({"length_secs": float("inf")}, "length_secs is inf"),
    ({"length_secs": float("nan")}, "length_secs is nan"),
    ({"temperature": float("nan")}, "temperature is nan"),
    ({"seed": -1}, "seed is -1"),
    ({"length_secs": -1.0}, "length_secs is -1"),
    ({"temperature": -0.1}, "temperature is -0.1"),
    ({"sustain_temperature": -0.2}, "sustain_temperature is -0.2"),
    ({"teacher_forced": True}, "give it with primer_audio"),
    ({"primer_audio": ("{a}",), "primer_secs": 0.6}, "leaves nothing of 0.6 s"),
    ({"primer_audio": ("{a}",), "primer_secs": 0.0}, "primer_secs is 0"),
    ({"primer_audio": ("{a}", "{a}")}, "2 recordings for 1 pieces"),
    ({"style": "{a}"}, "trained without a recording"),
    ({"piano_id": 0}, "trained without numbers"),
])
def test_wrong_options_are_errors(model, pieces, tmp_path, given, message):
    path = str(pieces / "a.wav")
    given = {"primer_secs": 0.3, **given}
    given = {name: path if value == "{a}" else (path,) * len(value) if isinstance(value, tuple)
             else value for name, value in given.items()}
    with pytest.raises(ValueError, match=message):
        made(model, [pieces / "a.mid"], tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_missing_recordings_and_short_primers_are_told(model, pieces, tmp_path):
    with pytest.raises(FileNotFoundError, match="no recording 'nowhere.wav'"):
        options.check(options.Options(content=(), output_dir="x",
                                      primer_audio=("nowhere.wav",)))
    lines = []
    summary, _ = made(model, [pieces / "a.mid"], tmp_path / "out", lines, length_secs=3.0,
                      primer_audio=(str(pieces / "a.wav"),), primer_secs=2.0)
    assert summary.skipped == 1 and "shorter than the primer of 2 s" in lines[0]


def test_the_style_clip_and_the_number_of_the_piano_are_heard(pieces, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "style_vectors", lambda clips, rate: np.stack(
        [np.full(4, 10 * np.abs(clip[:100]).max(), np.float32) for clip in clips]))
    styled = tiny_model(global_size=4)
    with pytest.raises(ValueError, match="give one with --style"):
        made(styled, [pieces / "a.mid"], tmp_path / "none")
    tone = np.sin(np.arange(RATE)).astype(np.float32)
    audio_lib.save(pieces / "quiet.wav", audio_lib.Audio(
        tone * np.linspace(0.1, 1, RATE).astype(np.float32), RATE))
    audio_lib.save(pieces / "loud.wav", audio_lib.Audio(tone, RATE))
    results = [made(styled, [pieces / "a.mid"], tmp_path / name, style=str(pieces / f"{name}.wav"))
               for name in ("quiet", "loud")]
    assert np.abs(results[0][1]["a"] - results[1][1]["a"]).max() > 0.01
    numbered = tiny_model(num_pianos=2)
    numbered.context.globals["piano_id"].embeddings.assign(
        3 * np.random.default_rng(0).normal(size=(2, 16)))
    with pytest.raises(ValueError, match="knows 2 pianos: give piano_id 0 to 1"):
        made(numbered, [pieces / "a.mid"], tmp_path / "none", piano_id=2)
    results = [made(numbered, [pieces / "a.mid"], tmp_path / f"id{i}", piano_id=i)
               for i in range(2)]
    assert np.abs(results[0][1]["a"] - results[1][1]["a"]).max() > 0.01


def test_saved_weights_are_loaded_and_others_refused(model, tmp_path):
    weights.save(model, tmp_path / "mine", "mine-1")
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["name"] == "mine-1"

    def load(name, path=None):
        config = configs.get(name)
        return base.load_weights(config, path, config.generator().check_model)

    loaded = load("midi2wave_small", str(tmp_path / "mine"))
    x = {"audio": np.zeros((1, 64), np.float32), "roll": np.ones((1, 2, 176), np.float32)}
    np.testing.assert_allclose(loaded(x)["logits"], model(x)["logits"], atol=2e-2)
    with pytest.raises(ValueError, match="is not of midi2wave_small: it is a PianoDDSP"):
        load("midi2wave_small", "piano_ddsp")
    with pytest.raises(FileNotFoundError, match="no weights of midi2wave: train a model"):
        load("midi2wave")


def test_rolls_are_drawn_with_the_highest_key_on_top():
    roll = np.zeros((5, 176), np.float32)
    roll[1, 87], roll[1:4, 88 + 87] = 0.5, 0.5
    pixels = pictures.roll_pixels(roll)
    assert pixels.shape == (176, 5, 3) and pixels.dtype == np.uint8
    assert pixels[0, 1].tolist() == [255, 0, 0] and pixels[0, 2, 1] > 100
    assert not pixels[2:].any() and not pixels[:, 0].any() and not pixels[:, 4].any()


def test_a_spectral_wavenet_plays_on_the_clip_and_in_parts_as_at_once(pieces, tmp_path,
                                                                     monkeypatch):
    keras.utils.set_random_seed(0)
    spectral = SpectralWaveNet(sample_rate=RATE, num_layers=3, dilation_cycle=3, channels=4,
                               hidden_channels=4, context_layers=2, context_channels=4,
                               style_size=4, excitation_partials=2)
    spectral.build(None)
    spectral.head.kernel.assign(np.random.default_rng(0).normal(
        size=spectral.head.kernel.shape))
    contents, clip = [pieces / "a.mid", pieces / "b.mid"], str(pieces / "a.wav")
    with pytest.raises(ValueError, match="give one with --style"):
        made(spectral, contents, tmp_path / "none")
    _, whole = made(spectral, contents, tmp_path / "whole", style=clip)
    monkeypatch.setattr(run, "SPECTRAL_FRAMES", 40)
    _, parts = made(spectral, contents, tmp_path / "parts", style=clip)
    for name, samples in whole.items():
        assert len(samples) == int(0.6 * RATE) and np.abs(samples).max() > 1e-3
        np.testing.assert_allclose(parts[name], samples, atol=1e-4)
    assert np.abs(whole["a"] - whole["b"]).max() > 1e-3
