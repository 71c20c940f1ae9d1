"""The command lines of documents about Magenta run as they are written, with small numbers."""

import re
import runpy
import shlex

import numpy as np
import pytest
import setuptools

from style_transfer.scripts import magenta
from tests.scripts import forks

# Word for word, from two documents of people who trained Magenta's models.
LINES = r"""
convert_dir_to_note_sequences \
  --input_dir=$INPUT_DIRECTORY \
  --output_file=$SEQUENCES_TFRECORD \
  --recursive
drums_rnn_create_dataset \
--config=drum_kit \
--input=/tmp/notesequences.tfrecord \
--output_dir=/tmp/drums_rnn/sequence_examples \
--eval_ratio=0.10
drums_rnn_train \
--config=drum_kit \
--run_dir=/tmp/drums_rnn/logdir/run1 \
--sequence_example_file=/tmp/drums_rnn/sequence_examples/training_drum_tracks.tfrecord \
--hparams="batch_size=64,rnn_layer_sizes=[64,64]" \
--num_training_steps=20000
drums_rnn_generate \
--config=drum_kit \
--run_dir=/tmp/drums_rnn/logdir/run1 \
--hparams="batch_size=64,rnn_layer_sizes=[64,64]" \
--output_dir=/tmp/drums_rnn/generated \
--num_outputs=10 \
--num_steps=128 \
--primer_drums="[(36,)]"
music_vae_train \
--config='flat-mel_16bar' \
--run_dir='/run/in/this/directory' \
--mode=train \
--examples_path='/path/to/examples' \
--hparams=batch_size=32,learning_rate=0.0005
music_vae_train \
--config='hierdec-mel_16bar' \
--run_dir='/run/in/that/directory' \
--mode=train \
--examples_path='/path/to/examples' \
--hparams=batch_size=64,learning_rate=0.0005
music_vae_train \
--config='hierdec-mel_16bar' \
--run_dir='/run/in/that/directory' \
--mode=eval \
--examples_path='/path/to/examples' \
--hparams=batch_size=64
music_vae_train \
--config='hierdec-mel_16bar' \
--run_dir='/run/finetuned' \
--mode=train \
--examples_path='/path/to/examples' \
--hparams=batch_size=64,learning_rate=0.0005 \
--checkoint_file=/save/checkpoint/here
""".replace("\\\n", " ").strip().splitlines()
# What Magenta's own pages add: evaluation, generation, transcription.
MORE = r"""
drums_rnn_train --run_dir=/tmp/drums_rnn/logdir/run1 --eval --hparams="batch_size=64" \
  --sequence_example_file=/tmp/drums_rnn/sequence_examples/eval_drum_tracks.tfrecord
music_vae_generate --config=hierdec-mel_16bar --checkpoint_file=/run/finetuned --mode=interpolate \
  --num_outputs=5 --input_midi_1=midi/more/melody0.mid --input_midi_2=midi/more/melody1.mid \
  --output_dir=vae --log=INFO
onsets_frames_transcription_create_tfrecords --csv=maestro.csv --output_directory=transcription \
  --num_shards=0 --wav_dir=wav --midi_dir=midi --expected_splits=train,validation,test
onsets_frames_transcription_train --examples_path=transcription --model_dir=onsets \
  --num_steps=1000 --mode=train --hparams=batch_size=8
onsets_frames_transcription_transcribe --model_dir=onsets wav/a.wav
""".replace("\\\n", " ").strip().splitlines()
TINY_RNN = "enc_rnn_size=[4],dec_rnn_size=[4],z_size=2,batch_size=2,learning_rate=0.0005"
SMALL = {
    "$INPUT_DIRECTORY": "midi", "$SEQUENCES_TFRECORD": "notes.tfrecord",
    "/tmp/notesequences.tfrecord": "notes.tfrecord", "/tmp/drums_rnn/": "",
    "/run/in/": "runs/", "/run/finetuned": "runs/finetuned", "/path/to/examples": "notes.tfrecord",
    "/save/checkpoint/here": "runs/that/directory",
    "batch_size=64,rnn_layer_sizes=[64,64]": "batch_size=4,rnn_layer_sizes=[6,5],max_steps=64",
    "batch_size=32,learning_rate=0.0005": TINY_RNN,
    "batch_size=64,learning_rate=0.0005": TINY_RNN,
    '"batch_size=64"': "batch_size=4", "hparams=batch_size=64": "hparams=batch_size=2",
    "steps=20000": "steps=2", "steps=1000": "steps=1", "outputs=10": "outputs=2",
    "steps=128": "steps=20", "outputs=5": "outputs=3",
    "batch_size=8": "batch_size=1,crop_secs=1,num_filters=[2,2,2],fc_size=8,onset_lstm_units=2,"
                    "offset_lstm_units=2,combined_lstm_units=2",
}


def words(line):
    for text, small in SMALL.items():
        line = line.replace(text, small)
    more = ["--num_steps=1"] if line.startswith("music_vae_train") and "mode=train" in line else []
    return [*shlex.split(line), *more]


def write_inputs(folder):
    """Drums and melodies, and three recordings of a table."""
    import note_seq

    from style_transfer import audio, piano_roll

    (folder / "midi" / "more").mkdir(parents=True)
    (folder / "wav").mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        for name, pitches, is_drum in ((f"drums{index}", (36, 38, 42), True),
                                       (f"more/melody{index}", range(60, 72), False)):
            sequence = note_seq.NoteSequence(ticks_per_quarter=220, total_time=66.0)
            sequence.tempos.add(qpm=120)
            sequence.time_signatures.add(numerator=4, denominator=4)
            for beat in range(132):
                sequence.notes.add(pitch=int(rng.choice(pitches)), velocity=80, is_drum=is_drum,
                                   start_time=beat / 2, end_time=beat / 2 + 0.3,
                                   instrument=9 * is_drum)
            piano_roll.save_midi(folder / "midi" / f"{name}.mid", sequence)
    rows = ["audio_filename,midi_filename,split,canonical_composer,canonical_title,year"]
    for name, split in (("a", "train"), ("b", "validation"), ("c", "test")):
        tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(128_000) / 16_000)
        audio.save(folder / "wav" / f"{name}.wav", audio.Audio(tone.astype(np.float32), 16_000))
        sequence = note_seq.NoteSequence(ticks_per_quarter=220, total_time=7.9)
        sequence.notes.add(pitch=57, velocity=80, start_time=0.1, end_time=7.9)
        piano_roll.save_midi(folder / "midi" / "more" / f"{name}.mid", sequence)
        rows.append(f"{name}.wav,more/{name}.mid,{split},x,{name},2004")
    (folder / "maestro.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.slow
def test_the_lines_run(tmp_path):
    pytest.importorskip("magenta")
    write_inputs(tmp_path)
    lines = LINES + MORE
    for line, (status, output) in zip(lines, forks.run(map(words, lines), tmp_path), strict=True):
        assert status == 0, f"{line}\n{output}"
    assert len(list((tmp_path / "generated").glob("*.mid"))) == 2
    assert len(list((tmp_path / "vae").glob("*.mid"))) == 3
    assert (tmp_path / "runs" / "finetuned" / "ckpt-000001").is_dir()
    assert (tmp_path / "runs" / "that" / "directory" / "eval" / "metrics.json").is_file()
    assert (tmp_path / "wav" / "a.wav.midi").is_file()


@pytest.mark.parametrize(("line", "ours"), [
    ("drums_rnn_train --eval --log=INFO", "--mode=eval"),
    ("drums_rnn_train --num_training_steps=0", "--num_training_steps=1000000000"),
    ("music_vae_generate --max_batch_size=4 --num_outputs 7", "--num_outputs=5 --num_outputs 7"),
    ("onsets_frames_transcription_create_tfrecords --num_shards=0 "
     "--pipeline_options=--runner=DirectRunner,--project=x",
     "--runner=DirectRunner --pipeline_options=--project=x"),
])
def test_what_is_said_in_another_way_is_translated(line, ours):
    name = line.split()[0]
    assert " ".join(magenta.translated(name, line.split())).endswith(ours)


def test_what_is_not_done_here_is_refused():
    with pytest.raises(ValueError, match="leave it out"):
        magenta.translated("drums_rnn_generate", ["x", "--save_generator_bundle"])


def test_every_command_of_the_documents_is_installed(monkeypatch):
    arguments = {}
    monkeypatch.setattr(setuptools, "setup", arguments.update)
    monkeypatch.chdir(forks.ROOT)
    runpy.run_path("setup.py")
    entries = dict(re.split(" = ", entry)
                   for entry in arguments["entry_points"]["console_scripts"])
    assert {line.split()[0] for line in LINES + MORE} <= set(entries)
    for name in magenta.COMMANDS:
        assert entries[name] == f"style_transfer.scripts.magenta:{name}"
        assert callable(getattr(magenta, name))
