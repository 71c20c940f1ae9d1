"""`vocoder`, `performance_net` and `pre_spec_unet` by the commands' functions, tiny."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer import configs, files, piano_roll, training, weights
from style_transfer.graph import vocoding
from style_transfer.models.vocoder import generate as vocoder_generate
from style_transfer.models.vocoder import net
from style_transfer.models.vocoder.net import Vocoder
from style_transfer.serving import export
from style_transfer.signal import log_mel
from style_transfer.spectrograms import vocoding as spectrogram_sound
from tests.eager import eagerly
from tests.pipelines import tiny_pairs

RATE = log_mel.SAMPLE_RATE
NAMES = ("performance_net", "pre_spec_unet")
TINY = ("batch_size=4,crop_secs=0.512,style_secs=1.0,channels=[8,10],kernel_size=3,style_size=4,"
        "texture_bands=[2],texture_channels=4,warmup_steps=1")
TINY_VOCODER = {"width": 8, "num_blocks": 1, "kernel_size": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("examples")
    tiny_pairs.write_records(root / "a.tfrecord", [
        tiny_pairs.example(f"{split}{i}", 3.0, seed=i, split=split, timbre="ab"[i % 2], rate=RATE)
        for split in ("train", "eval") for i in range(4)])
    return str(root)


@pytest.fixture(scope="module")
def tiny_vocoder():
    keras.utils.set_random_seed(0)
    model = Vocoder(**TINY_VOCODER)
    model.build(None)
    return model


@pytest.fixture(params=[NAMES[0], pytest.param(NAMES[1], marks=pytest.mark.slow)])
def trained(request, folder, tmp_path):
    config = configs.get(request.param)
    hparams = configs.parse_hparams(TINY, config.hparams)
    options = training.TrainOptions(str(tmp_path / "run"), folder, 2, eval_interval=2,
                                    log_interval=1)
    with eagerly():
        training.train(config, hparams, options, lambda line: None)
    return config, hparams, tmp_path


def clip():
    return tiny_pairs.sound(tiny_pairs.table(3.0, seed=7), 3.0, RATE)


def test_they_train_resume_generate_and_export_what_they_generate(
        trained, folder, tiny_vocoder, monkeypatch):
    config, hparams, root = trained
    [scores] = json.loads((root / "run" / "eval" / "metrics.json").read_text())
    wanted = [scores[name] for name in ("log_mel_db", "content_gain_db", "style_gain_db")]
    assert np.isfinite(wanted).all()
    lines = []
    with eagerly():
        training.train(config, hparams, training.TrainOptions(
            str(root / "run"), folder, 3, eval_interval=0), lines.append)
    assert "resuming at step 2" in lines[0]
    monkeypatch.setattr(spectrogram_sound, "vocoder", lambda: tiny_vocoder)
    monkeypatch.setattr(Vocoder.play, "__defaults__", (net.CHUNK_FRAMES, 1))
    model = weights.load(root / "run")
    audio_lib.save(root / "clip.wav", clip())
    tiny_pairs.write_midi(root / "piece.mid", tiny_pairs.table(2.0, seed=5))
    generator = config.generator()
    options = generator.options(content=(str(root / "piece.mid"),), output_dir=str(root / "out"),
                                style=str(root / "clip.wav"), picture=False)
    generator.check(options)
    generator.check_model(model)
    assert generator.generate(lambda: model, options, files.say).written == 1
    made = audio_lib.load(root / "out" / "piece.wav")
    table = piano_roll.note_table(piano_roll.load_midi(root / "piece.mid"))
    assert made.duration_secs == pytest.approx(table.end_secs + piano_roll.TAIL_SECS, abs=0.01)
    again = generator.transfer(model, str(root / "piece.mid"), clip(), sample_rate=RATE)
    assert np.abs(again.samples - made.samples).max() < 1e-3
    monkeypatch.setattr(vocoding.Vocoding.__init__, "__defaults__", (16, 1))
    path = export.export(model, root / "served", config.serving(), warm_up=False)
    outputs = tf.saved_model.load(str(path)).signatures["serving_default"](
        style_bytes=tf.constant([(root / "clip.wav").read_bytes()]),
        content_bytes=tf.constant([piano_roll.load_midi(
            root / "piece.mid").SerializeToString()]))
    served = audio_lib.load(outputs["audio_bytes"].numpy()[0])
    assert len(served.samples) == len(made.samples)
    behind = 256 * (log_mel.polish_reach(1) + 4)
    assert np.abs(served.samples - again.samples)[:-behind].max() < 2e-3


@pytest.mark.parametrize("part, moved", [("blocks", {"blocks"}), ("head", {"head"}),
                                         ("all", {"blocks", "head"})])
def test_steps_move_the_part_of_the_vocoder_that_is_trained(part, moved, folder, tmp_path):
    config = configs.get("vocoder")
    hparams = configs.parse_hparams(
        "batch_size=2,crop_secs=0.256,width=8,num_blocks=1,kernel_size=3,fft_sizes=[512],"
        f"warmup_steps=0,learning_rate=0.1,fitted_batches=1,trained_part={part}", config.hparams)
    with eagerly():
        training.train(config, hparams, training.TrainOptions(
            str(tmp_path), folder, 2, eval_interval=0, checkpoint_interval=1), lambda line: None)
    first, second = (weights.load(tmp_path / f"ckpt-00000{step}") for step in (1, 2))
    changed = {"head" if "head" in after.path else "blocks"
               for before, after in zip(first.weights, second.weights, strict=True)
               if np.any(np.asarray(before) != np.asarray(after))}
    assert changed == moved


def test_the_vocoder_has_no_other_parts():
    config = configs.get("vocoder")
    with pytest.raises(ValueError, match="trained_part='tail' is unknown"):
        config.build_model(configs.parse_hparams("trained_part=tail", config.hparams))


def test_the_vocoder_trains_makes_recordings_again_and_exports(folder, tiny_vocoder, tmp_path):
    config = configs.get("vocoder")
    hparams = configs.parse_hparams(
        "batch_size=2,crop_secs=0.256,width=8,num_blocks=1,kernel_size=3,fft_sizes=[512],"
        "warmup_steps=1,fitted_batches=2", config.hparams)
    trained = training.train(config, hparams, training.TrainOptions(
        str(tmp_path / "run"), folder, 1, eval_interval=0), lambda line: None)
    assert (tmp_path / "run" / "ckpt-000001").is_dir()
    sine, noise = np.split(np.asarray(trained.head.kernel), 2, axis=1)
    assert np.abs(sine).max() > 0.1
    np.testing.assert_allclose(sine, noise, atol=3e-3)  # fitted alike, then moved by one step
    audio_lib.save(tmp_path / "clip.wav", clip())
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    generator = config.generator()
    options = generator.options(recordings=(str(tmp_path / "*.wav"),),
                                output_dir=str(tmp_path / "out"))
    generator.check_model(tiny_vocoder)
    summary = generator.generate(lambda: tiny_vocoder, options, files.say)
    assert (summary.written, summary.skipped) == (1, 1)
    made = audio_lib.load(tmp_path / "out" / "clip.wav")
    assert len(made.samples) == len(clip().samples)
    np.testing.assert_allclose(
        made.samples, vocoder_generate.made_again(tiny_vocoder, clip()).samples, atol=1e-3)
    spectrogram = np.asarray(log_mel.of_audio(clip().samples[None]))
    path = export.export(tiny_vocoder, tmp_path / "served", config.serving(), warm_up=False)
    served = tf.saved_model.load(str(path)).signatures["serving_default"](
        log_mel=tf.constant(np.repeat(spectrogram, 2, axis=0)), num_frames=tf.constant([187, 40]))
    assert served["num_samples"].numpy().tolist() == [187 * 256, 40 * 256]
    audio = served["audio"].numpy()
    np.testing.assert_allclose(audio[0, :130 * 256],
                               tiny_vocoder.play(spectrogram[0])[:130 * 256], atol=1e-3)
    assert not audio[1, 40 * 256:].any()
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 1 to"):
        tf.saved_model.load(str(path)).signatures["serving_default"](
            log_mel=tf.constant(spectrogram), num_frames=tf.constant([1000]))


def test_sizes_are_as_the_cards_say():
    config = configs.get("performance_net")
    for name in ("performance_net", "pre_spec_unet", "vocoder"):
        config = configs.get(name)
        model = config.build_model(config.hparams)
        model.build(None)
        assert model.count_params() < 5_000_000  # at most 10 MB in float16
