"""Transcription beside basic-pitch, in one run: scores for each piano, speed and memory.

    python -m benchmarks.transcription --pairs=pairs [--soundfont=FluidR3_GM.sf2]
        [--weights=onsets_frames_small] [--json=out.json] [--memory_secs=3600]

`--pairs` is a folder of `<piano>/<piece>/{truth.flac,content.mid}`, as style_transfer_evaluate
leaves it. With `--soundfont`, its first piano plays the same pieces: as it is, and in a random room
with noise. Notes are scored against the played ones: their ends against key releases, and against
the time at which the string is damped (the sustain pedal applied).
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import platform
import resource
import time
from collections import defaultdict

import numpy as np

from style_transfer import processes

OURS, DEFAULT, SHORT = "ours", "basic-pitch", "basic-pitch, 30 ms"
SYSTEMS = (OURS, DEFAULT, SHORT)
BASIC_PITCH_DEFAULT_MS = 127.7
ROOM_SEED = 7
NOISE_DB = -45.0
RATE = 16_000
COLUMNS = {
    "note_f1": "onset", "note_precision": "prec.", "note_recall": "recall",
    "note_with_offsets_f1": "+release", "note_with_sounding_offsets_f1": "+damping",
    "note_with_offsets_velocity_f1": "+rel+vel",
    "note_with_sounding_offsets_velocity_f1": "+damp+vel", "frame_f1": "frame",
    "velocity_error": "vel.err"}


@dataclasses.dataclass(frozen=True)
class Clip:
    """A recording and the `NoteTable` that it is of."""

    piano: str
    piece: str
    audio: object
    notes: object


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--soundfont", help="its first piano plays the pieces as well")
    parser.add_argument("--weights", default="onsets_frames_small",
                        help="a name of weights in the package, or a run_dir")
    parser.add_argument("--grands", default="timgm6mb_[012],*grand*",
                        help="patterns of the pianos whose mean is told apart")
    parser.add_argument("--systems", default="|".join(SYSTEMS), help="separated by |")
    parser.add_argument("--max_clips", type=int, help="of each piano, for a quick look")
    parser.add_argument("--memory_secs", type=int, default=600,
                        help="length of the recording that memory is measured with; 0 for none")
    parser.add_argument("--json")
    return parser.parse_args()


def read_clips(folder, soundfont, max_clips):
    """Clips of the pairs, and of their pieces on the soundfont's piano."""
    from style_transfer.evaluation import pairs

    clips, contents = [], {}
    for pair in pairs.find_pairs(folder):
        contents.setdefault(pair.content, pair)
        clips.append(Clip(pair.piano, pair.content, pair.truth, pair.content_notes))
    if soundfont:
        clips += rendered_clips(contents.values(), soundfont)
    by_piano = defaultdict(list)
    for clip in clips:
        by_piano[clip.piano].append(clip)
    return [clip for found in by_piano.values() for clip in found[:max_clips]]


def rendered_clips(contents, soundfont):
    from style_transfer import piano_roll
    from style_transfer.evaluation import pairs
    from style_transfer.pipelines.rendering import augment
    from style_transfer.pipelines.rendering.specs import renderers_from

    renderer = renderers_from(soundfont)[0]
    clips = []
    for index, pair in enumerate(contents):
        dry = renderer.render(piano_roll.load_midi(pair.content_midi), RATE)
        dry = pairs.lasting(dry, pair.truth.duration_secs)
        rng = np.random.default_rng([ROOM_SEED, index])
        wet = augment.noise(augment.room(dry, rng), rng, level_db=NOISE_DB)
        wet = pairs.lasting(wet, pair.truth.duration_secs)
        for name, audio in ((renderer.timbre_id, dry), (f"{renderer.timbre_id}, room, noise", wet)):
            clips.append(Clip(name, pair.content, audio, pair.content_notes))
    return sorted(clips, key=lambda clip: clip.piano)


def transcriber(system, weights):
    """A function from `Audio` to the `NoteTable` of what it hears."""
    if system == OURS:
        return our_transcriber(weights)
    from style_transfer import piano_roll
    from style_transfer.evaluation import transcriber as basic_pitch

    shortest_ms = BASIC_PITCH_DEFAULT_MS if system == DEFAULT else (
        basic_pitch.MINIMUM_NOTE_LENGTH_MS)

    def hear(audio):
        return notes_of_events(basic_pitch.note_events(audio, shortest_ms), piano_roll)
    return hear


def our_transcriber(weights):
    from style_transfer import piano_roll, transcription

    return lambda audio: piano_roll.note_table(transcription.transcribe(audio, weights))


def notes_of_events(events, piano_roll):
    """It has no pedal: a key is released when the sound ends."""
    rows = sorted((onset, end, pitch - piano_roll.LOWEST_PITCH, amplitude)
                  for onset, end, pitch, amplitude in events
                  if 0 <= pitch - piano_roll.LOWEST_PITCH < piano_roll.NUM_KEYS)
    onset, end, key, amplitude = np.array(rows, np.float64).reshape(-1, 4).T
    return piano_roll.NoteTable(key.astype(np.int32), amplitude.astype(np.float32), onset, end, end)


def measure(system, weights, clips):
    """Rows of scores with `wall_secs` and `cpu_secs`; the first clip is heard twice."""
    from style_transfer.transcription import metrics

    hear = transcriber(system, weights)
    hear(clips[0].audio)
    rows = []
    for clip in clips:
        wall, cpu = time.perf_counter(), time.process_time()
        heard = hear(clip.audio)
        spent = {"wall_secs": time.perf_counter() - wall, "cpu_secs": time.process_time() - cpu}
        rows.append({"system": system, "piano": clip.piano, "piece": clip.piece,
                     "audio_secs": clip.audio.duration_secs, **spent,
                     **metrics.score_notes(clip.notes, heard)})
    return rows


def peak_memory_gb(system, weights, audio):
    """Largest resident size of a process that does nothing but transcribe; run in a fresh one."""
    transcriber(system, weights)(audio)
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def long_recording(clips, secs):
    """The clips one after another until they last `secs`."""
    from style_transfer.audio import Audio, resample

    samples = [resample(clip.audio, RATE).samples for clip in clips]
    return Audio(np.resize(np.concatenate(samples), secs * RATE), RATE)


def summarise(rows, systems, grands):
    """Mean scores by group and system; the groups are pianos, all, and the grands."""
    from style_transfer.transcription import metrics

    groups = {piano: [r for r in rows if r["piano"] == piano]
              for piano in dict.fromkeys(r["piano"] for r in rows)}
    patterns = grands.split(",")
    groups["mean of grands"] = [r for r in rows if any(
        fnmatch.fnmatchcase(r["piano"], p) for p in patterns)]
    groups["mean"] = rows
    return {name: {system: metrics.mean_scores(
        {key: r[key] for key in COLUMNS} for r in found if r["system"] == system)
        for system in systems} for name, found in groups.items() if found}


def speeds(rows, system):
    """Real-time factors: processor and wall time over the length of the audio."""
    own = [r for r in rows if r["system"] == system]
    secs = sum(r["audio_secs"] for r in own)
    return {f"{kind}_factor": sum(r[f"{kind}_secs"] for r in own) / secs
            for kind in ("cpu", "wall")}


def print_table(summary):
    width = max(map(len, summary)) + 2
    print(f"{'piano':<{width}}{'system':<20}" + "".join(f"{h:>10}" for h in COLUMNS.values()))
    for piano, systems in summary.items():
        for system, scores in systems.items():
            cells = (f"{scores[name]:>10.1f}" if name == "velocity_error"
                     else f"{scores[name]:>10.3f}" for name in COLUMNS)
            print(f"{piano:<{width}}{system:<20}" + "".join(cells))


def main():
    """Measures and prints."""
    options = parse()
    # Before TensorFlow is imported: all systems get one thread.
    os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    systems = options.systems.split("|")
    clips = read_clips(options.pairs, options.soundfont, options.max_clips)
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{len(clips)} clips of {len({c.piano for c in clips})} pianos, one thread", flush=True)
    rows, costs = [], {}
    long = long_recording(clips, options.memory_secs) if options.memory_secs else None
    for system in systems:
        # Each in processes of its own: neither its memory nor its imports are another's.
        with processes.pool(1) as pool:
            found = pool.submit(measure, system, options.weights, clips).result()
        rows += found
        costs[system] = speeds(found, system)
        if long is not None:
            with processes.pool(1) as pool:
                costs[system]["peak_memory_gb"] = pool.submit(
                    peak_memory_gb, system, options.weights, long).result()
    summary = summarise(rows, systems, options.grands)
    print_table(summary)
    for system, cost in costs.items():
        memory = (f", peak memory {cost['peak_memory_gb']:.2f} GB for {options.memory_secs} s"
                  if long is not None else "")
        print(f"{system}: real-time factor {cost['wall_factor']:.4f} (processor "
              f"{cost['cpu_factor']:.4f}){memory}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"summary": summary, "costs": costs, "clips": rows,
                       "options": vars(options)}, file, indent=1)


if __name__ == "__main__":
    main()
