"""The commands on symbolic models: what is refused, and all of it from data to MIDI."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
NO_KERAS = "import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None; "


def command(name, *arguments, forbid_keras=False):
    code = NO_KERAS if forbid_keras else ""
    code += f"from style_transfer.scripts import {name} as c; c.run()"
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("create_dataset", ["--config=drum_kit", "--input=a", "--layout=smd", "--shards=2"],
     "--layout, --shards cannot be used with --config=drum_kit"),
    ("create_dataset", ["--config=piano_ddsp", "--input=a", "--eval_pieces=*Ravel*"],
     "--eval_pieces cannot be used with --config=piano_ddsp"),
    ("generate", ["--config=drum_kit", "--style=a.wav", "--mode=sample"],
     "--mode, --style cannot be used with --config=drum_kit"),
    ("generate", ["--config=cat-mel_2bar_small", "--primer_drums=[(36,)]", "--onset_threshold=0.5"],
     "--onset_threshold, --primer_drums cannot be used with --config=cat-mel_2bar_small"),
    ("generate", ["--content=a.mid", "--style=a.wav", "--temperature=1"],
     "--temperature cannot be used with --config=piano_ddsp"),
    ("generate", ["--config=onsets_frames"], "--input is required"),
    ("generate", ["--config=cat-mel_2bar_small", "--mode=interpolate", "--input_midi=a.mid"],
     "An interpolation is between two MIDI files, got 1"),
    ("generate", ["--config=drum_kit", "--primer_drums=36"], "'36' is no primer"),
])
def test_what_does_not_apply_is_refused_before_keras_is_loaded(tmp_path, name, arguments, message):
    done = command(f"style_transfer_{name}", *arguments, f"--output_dir={tmp_path}/out",
                   forbid_keras=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def pieces(path):
    """Drum patterns, one of them in 3/4, which Magenta takes too, and a song without drums."""
    import note_seq

    from style_transfer.pipelines.records import tfrecords

    def piece(name, meter=4, is_drum=True, bars=9):
        sequence = note_seq.NoteSequence(id=name, filename=f"{name}.mid", ticks_per_quarter=220)
        sequence.tempos.add(qpm=120)
        sequence.time_signatures.add(numerator=meter, denominator=4)
        for beat in range(meter * bars):
            sequence.notes.add(pitch=(36, 38)[beat % 2], velocity=80, start_time=beat / 2,
                               end_time=beat / 2 + 0.3, is_drum=is_drum, instrument=9)
        sequence.total_time = meter * bars / 2
        return tfrecords.frame(sequence.SerializeToString())

    good = [piece(f"rock {i}", bars=8 + i) for i in range(5)] + [piece("Ravel")]
    path.write_bytes(b"".join([*good, piece("waltz", meter=3), piece("song", 3, False)]))


@pytest.mark.slow
def test_from_note_sequences_to_midi(tmp_path):
    pytest.importorskip("magenta")
    pieces(tmp_path / "notes.tfrecord")
    data, folder = tmp_path / "examples", tmp_path / "run"
    made = command("style_transfer_create_dataset", "--config=drum_kit", f"--output_dir={data}",
                   f"--input={tmp_path}/notes.tfrecord", "--eval_ratio=0", "--eval_pieces=*Ravel*")
    assert made.returncode == 0, made.stderr
    assert ("skipped, meter other than 4/4: 1\nskipped, no drums: 1\n"
            "8 read, 6 written, 2 skipped\n") in made.stdout
    # The five in 4/4 that Magenta splits; the sixth is for evaluation.
    assert "RandomPartition_training_drum_tracks_count: 5\n" in made.stdout
    common = ["--config=drum_kit", f"--run_dir={folder}", f"--examples_path={data}",
              "--hparams=batch_size=2,rnn_layer_sizes=[6,5],attn_length=3,max_steps=32"]
    trained = command("style_transfer_train", *common, "--num_training_steps=2")
    assert trained.returncode == 0, trained.stderr
    scored = command("style_transfer_train", *common, "--mode=eval")
    assert scored.returncode == 0, scored.stderr
    assert re.search(r"perplexity \d", scored.stdout) and "repetition_accuracy" in scored.stdout
    out = tmp_path / "out"
    drums = command("style_transfer_generate", "--config=drum_kit", f"--checkpoint={folder}",
                    f"--output_dir={out}", "--num_outputs=2", "--num_steps=20", "--qpm=90",
                    "--primer_drums=[(36,), (), (38,)]", "--beam_size=2", "--branch_factor=2")
    assert drums.returncode == 0, drums.stderr
    assert len(re.findall(r"drum_kit-sample-[12]\.mid: log-likelihood -\d", drums.stdout)) == 2
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "drum_kit-sample-1.mid", "drum_kit-sample-2.mid"]
    wrong = command("style_transfer_generate", "--config=one_drum", f"--checkpoint={folder}",
                    f"--output_dir={out}")
    assert wrong.returncode == 1 and "is not of one_drum" in wrong.stderr
    nothing = command("style_transfer_create_dataset", "--config=cat-mel_2bar_small",
                      f"--input={tmp_path}/notes.tfrecord", f"--output_dir={tmp_path}/mel")
    assert nothing.returncode == 1
    assert "gives anything to train on (meter other than 4/4: 1; no melody: 7)" in nothing.stderr
    assert not (tmp_path / "mel").exists()
