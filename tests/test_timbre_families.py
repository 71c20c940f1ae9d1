"""From notes alone to sound: the families that play what is played in the sound of any clip.

One data set, played as it is made, serves `ss_vq_vae` and `glow_style`; each is trained, resumed,
evaluated and asked for a file by the commands.
"""

import json

import numpy as np
import pytest

from style_transfer import audio
from style_transfer.pipelines.records import tfrecords
from style_transfer.spectrograms import vocoding
from tests.commands import run_command
from tests.eager import eagerly
from tests.pipelines import tiny_pairs
from tests.pipelines.datasets.test_played import song

pytest.importorskip("apache_beam")
TINY = {
    "ss_vq_vae": "width=8,encoder_blocks=1,decoder_blocks=1,code_width=4,num_codes=8,style_size=4,"
                 "style_width=4",
    "glow_style": "num_steps=1,width=4,num_layers=1,content_width=4,content_blocks=1,style_size=4,"
                  "style_width=4"}
SCORES = {
    "ss_vq_vae": {"loss", "log_mel_db", "style_gain_db", "content_gain_db", "perplexity"},
    "glow_style": {"loss", "style_gain_bits", "content_gain_bits", "log_mel_db_0",
                   "log_mel_db_0.7"}}


def command(name, config, *arguments):
    status, out, err = run_command(f"style_transfer_{name}", f"--config={config}", *arguments)
    assert status == 0, err or out
    return out


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    root = tmp_path_factory.mktemp("timbres")
    with tfrecords.atomic_file(root / "notes.tfrecord") as file:
        for seed in range(6):
            file.write(tfrecords.frame(song(seed).SerializeToString()))
    out = command("create_dataset", "ss_vq_vae", f"--input={root / 'notes.tfrecord'}",
                  "--soundfonts=procedural:2", f"--output_dir={root / 'examples'}",
                  "--instruments_per_piece=2", "--max_secs=3", "--eval_ratio=0.65",
                  "--num_workers=1")
    assert "12 read, 12 written, 0 skipped" in out and " h of audio in " in out
    return root / "examples"


@pytest.mark.parametrize("config", [
    "ss_vq_vae", pytest.param("glow_style", marks=pytest.mark.slow)])
def test_it_is_trained_resumed_evaluated_and_plays(config, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(vocoding, "vocoder", lambda: None)
    hparams = f"--hparams=batch_size=4,crop_secs=0.6,style_secs=0.6,warmup_steps=1,{TINY[config]}"
    train = ("train", config, f"--examples_path={examples}", f"--run_dir={tmp_path / 'run'}",
             hparams, "--eval_interval=2")
    with eagerly():
        command(*train, "--num_training_steps=2")
        assert "resuming at step 2" in command(*train, "--num_training_steps=4")
    recorded = json.loads((tmp_path / "run/eval/metrics.json").read_text())
    assert [score["step"] for score in recorded] == [2, 4]
    assert SCORES[config] < set(recorded[1]), "the step besides"
    assert all(np.isfinite(value) for value in recorded[1].values())
    tiny_pairs.write_midi(tmp_path / "piece.mid", tiny_pairs.table(2.0))
    tiny_pairs.write_pair(tmp_path / "clip", 4.0, seed=1)
    command("generate", config, f"--content={tmp_path / 'piece.mid'}",
            f"--style={tmp_path / 'clip.flac'}", f"--weights={tmp_path / 'run'}",
            f"--output_dir={tmp_path / 'out'}")
    made = audio.load(tmp_path / "out/piece.wav")
    assert made.sample_rate == 16_000 and made.duration_secs > 2
    assert (tmp_path / "out/piece.png").stat().st_size > 1000


def test_what_is_missing_is_said_before_any_work(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"")
    status, out, err = run_command(
        "style_transfer_generate", "--config=ss_vq_vae", f"--content={tmp_path / 'a.mid'}",
        f"--style={tmp_path / 'gone.wav'}", f"--output_dir={tmp_path}")
    assert status and "There is no style file" in err + out


def test_flags_for_playing_are_refused_where_nothing_is_played(tmp_path):
    status, out, err = run_command(
        "style_transfer_create_dataset", "--config=drum_kit", f"--input={tmp_path}",
        f"--output_dir={tmp_path / 'out'}", "--soundfonts=procedural:2")
    assert status and "soundfonts" in err + out
