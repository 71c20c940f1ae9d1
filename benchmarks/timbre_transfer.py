r"""How well a model of spectrograms gives one instrument's part the sound of another.

Parts of pieces are played on instruments of a soundfont, so the true result is known: the content's
own notes on the style clip's instrument. Pieces are those that `style_transfer_create_dataset` with
the same `--eval_ratio` keeps for evaluation.

  python -m benchmarks.timbre_transfer --config=ss_vq_vae_small --weights=ss_vq_vae_small \
      --pieces=pop909 --soundfont=font.sf2 --programs=4,24,42,56,66,73,11,19 --output_dir=out
"""

import json
import pathlib

import numpy as np
from absl import app, flags

from style_transfer import audio as audio_lib
from style_transfer import configs, piano_roll
from style_transfer.measure.clip import MIN_CLIP_SECS
from style_transfer.midi import tracks
from style_transfer.models import base
from style_transfer.pipelines.datasets.splits import piece_position
from style_transfer.pipelines.rendering import job as rendering
from style_transfer.pipelines.rendering import pieces as pieces_lib
from style_transfer.pipelines.rendering.soundfont import SoundfontRenderer
from style_transfer.signal import log_mel
from style_transfer.spectrograms import generate, making, vocoding

DB = 20 / np.log(10)
MAX_SECS = 10.0
FLOOR_DB = 60.0  # below the loudest, what is not compared
LOWEST_HZ, HIGHEST_HZ = 100.0, 2000.0
NUM_RESAMPLES = 2000

FLAGS = flags.FLAGS


def main(argv):
    """Measures."""
    del argv
    config = configs.get(FLAGS.config)
    model = base.load_weights(config, FLAGS.weights)
    folder = pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for index, (content, style, other, truth, table) in enumerate(_cases()):
        made = {"content, as it is": content, "truth": truth,
                "style clip, as it is": _looped(style, len(content.samples)),
                "truth through log-mel": vocoding.audio_of(_mel(truth)),
                "model": _transferred(model, content, table, style),
                "model, told another style": _transferred(model, content, table, other)}
        for name, audio in made.items():
            scores = _scores(audio, content, truth, table)
            rows.setdefault(name, []).append(scores)
            if index < 4:
                audio_lib.save(folder / f"{index}_{name.replace(', ', '_').replace(' ', '_')}.wav",
                               audio)
        print(index, {key: round(value, 3) for key, value in rows["model"][-1].items()}, flush=True)
    report = {name: {key: _interval([row[key] for row in found]) for key in found[0]}
              for name, found in rows.items()}
    (folder / "timbre_transfer.json").write_text(json.dumps(report, indent=1))
    keys = list(report["model"])
    print("| | " + " | ".join(keys) + " |\n|" + "---|" * (len(keys) + 1))
    for name, found in report.items():
        cells = (f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in found.values())
        print(f"| {name} | " + " | ".join(cells) + " |")


def _cases():
    """Content, style clip, another instrument's clip, truth, and the content's notes."""
    pieces = [piece for piece in pieces_lib.find_pieces(FLAGS.pieces)
              if piece_position(piece.id) < FLAGS.eval_ratio]
    rng, given = np.random.default_rng(0), 0
    programs = [int(program) for program in FLAGS.programs]
    while given < FLAGS.num_pairs:
        one, two, three = rng.choice(len(pieces), 3, replace=False)
        style, other = rng.choice(programs, 2, replace=False)
        source = rng.choice([p for p in range(112) if p not in programs])
        try:
            sequences = [_part(pieces[i], rng) for i in (one, two, three)]
            played = [_play(sequence, program) for sequence, program in zip(
                (*sequences, sequences[0]), (source, style, other, style), strict=True)]
        except ValueError as error:
            print(f"left out: {error}", flush=True)
            continue
        content, clip, another, truth = (audio for _, audio in played)
        count = min(len(content.samples), len(truth.samples), int(MAX_SECS * log_mel.SAMPLE_RATE))
        shortest = min(clip.duration_secs, another.duration_secs)
        if min(content.rms_db, clip.rms_db, truth.rms_db) < -50 or shortest < MIN_CLIP_SECS or (
                count < 3 * content.sample_rate):
            continue
        given += 1
        yield _cut(content, count), clip, another, _cut(truth, count), piano_roll.note_table(
            played[0][0])


def _part(piece, rng):
    parts = tracks.parts(piece.load())
    if not parts:
        raise ValueError(f"{piece.id} has no pitched instrument")
    return parts[int(rng.integers(len(parts)))]


def _play(sequence, program):
    renderer = SoundfontRenderer(FLAGS.soundfont, int(program), effects=False)
    return rendering.played(renderer, sequence, log_mel.SAMPLE_RATE, MAX_SECS, True)


def _cut(audio, count):
    return audio_lib.Audio(making.at_level(audio.samples)[:count], audio.sample_rate)


def _looped(clip, count):
    return audio_lib.Audio(np.resize(making.at_level(clip.samples), count), clip.sample_rate)


def _transferred(model, content, table, style):
    told = content if model.hears else table
    made = generate.played(model, told, style, sample_rate=log_mel.SAMPLE_RATE,
                           temperature=FLAGS.temperature)
    samples = np.resize(np.pad(made.samples, (0, len(content.samples))), len(content.samples))
    return audio_lib.Audio(samples, made.sample_rate)


def _mel(audio):
    return np.asarray(log_mel.of_audio(making.at_level(audio.samples)[None]))[0]


def _scores(audio, content, truth, table):
    """All distances at equal level, dB, and the share of frames whose pitch is played."""
    made, own, wanted = (_floored(_mel(clip)) for clip in (audio, content, truth))
    frames = min(map(len, (made, own, wanted)))
    made, own, wanted = made[:frames], own[:frames], wanted[:frames]
    to_style, to_content = (np.abs(made.mean(0) - other.mean(0)).mean() for other in (wanted, own))
    return {"log-mel to truth, dB": DB * np.abs(made - wanted).mean(),
            "spectrum to style's instrument, dB": DB * to_style,
            "to content's instrument, dB": DB * to_content,
            "nearer to style's": float(to_style < to_content),
            "pitch agreement": pitch_agreement(audio, table)}


def _floored(mel):
    return np.maximum(mel, mel.max() - FLOOR_DB / DB)


def pitch_agreement(audio, table):
    """Share of sounding frames whose strongest pitch class is one that is played.

    Args:
        audio: An `Audio` at `log_mel.SAMPLE_RATE`.
        table: The `NoteTable` it should play.
    """
    magnitude = np.asarray(log_mel.linear(audio.samples[None]))[0]
    hz = np.fft.rfftfreq(log_mel.WINDOW_SAMPLES, 1 / log_mel.SAMPLE_RATE)
    used = (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ)
    classes = np.round(12 * np.log2(hz[used] / 440)).astype(int) % 12  # 0 is A
    chroma = magnitude[:, used] @ np.eye(12)[classes]
    roll = making.roll(table, len(magnitude))[:, piano_roll.NUM_KEYS:] > 0
    played = roll @ np.eye(12)[np.arange(piano_roll.NUM_KEYS) % 12] > 0  # key 0 is A
    sounding = played.any(axis=1)
    return float(played[sounding, chroma.argmax(axis=1)[sounding]].mean())


def _interval(values):
    """Mean and its bootstrapped 95 % interval."""
    values, rng = np.asarray(values, float), np.random.default_rng(0)
    means = rng.choice(values, (NUM_RESAMPLES, len(values))).mean(axis=1)
    return [float(values.mean()), *np.percentile(means, [2.5, 97.5]).tolist()]


if __name__ == "__main__":
    flags.DEFINE_string("config", "ss_vq_vae_small", "Configuration.")
    flags.DEFINE_string("weights", None, "Weights; by default the package's.")
    flags.DEFINE_string("pieces", None, "Folder of MIDI files, or TFRecords of NoteSequences.")
    flags.DEFINE_string("soundfont", None, "Plays the pieces.")
    flags.DEFINE_list("programs", ["4", "24", "42", "56", "66", "73", "11", "19"],
                      "Programs of the style clips.")
    flags.DEFINE_float("eval_ratio", 0.2, "Share of pieces that were kept for evaluation.")
    flags.DEFINE_integer("num_pairs", 24, "How many transfers.")
    flags.DEFINE_float("temperature", 0.5, "Of models that sample.")
    flags.DEFINE_string("output_dir", None, "Where the figures go, and the first sounds.")
    flags.mark_flags_as_required(["pieces", "soundfont", "output_dir"])
    app.run(main)
