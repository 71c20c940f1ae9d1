"""Measures a style transfer and its rivals on the same pairs, one pair at a time, resumably.

A *system* is whatever turns a pair into audio. Methods are timed one after another, alone; then
pairs are measured, in several processes if wanted. Each pair's results lie in a file of their own
with the conditions they were measured under, and are measured again only when those change.
"""

import dataclasses
import functools
import json
import pathlib
import time
import traceback

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files, piano_roll
from style_transfer.evaluation import baselines, metrics, musaicing, pairs, published, transcriber

BASELINES, TRUTH = "baselines", "truth"
IGNORED, NEAREST = "style_ignored", "nearest_piano"
IGNORED_EQ, NEAREST_EQ = "style_ignored_eq", "nearest_piano_eq"
MUSAIC, LOOP, NOISY = "musaicing", "style_clip", "noisy_truth"
RIVALS = (IGNORED, NEAREST, IGNORED_EQ, NEAREST_EQ, MUSAIC, LOOP)
IN_LISTENING_TESTS = (IGNORED, NEAREST, NEAREST_EQ, MUSAIC)


@dataclasses.dataclass(frozen=True)
class BaselinePianos:
    """The pianos of the baselines, rendered beforehand by `pairs.render_notes`.

    Attributes:
        folder: Where the renderings lie.
        names: The pianos; the first one is the piano of *style ignored*.
        repertoire: Pairs whose contents, played on each piano, tell how it sounds.
    """

    folder: pathlib.Path
    names: tuple
    repertoire: tuple

    def play(self, piano, pair):
        """The pair's content on a piano, an `Audio`."""
        return pairs.rendering(pair, piano, self.folder)

    def play_style(self, piano, pair):
        """The notes of the pair's style clip on a piano, an `Audio`."""
        return pairs.rendering(pair, piano, self.folder, "style.flac")


@dataclasses.dataclass(frozen=True)
class Job:
    """All that is needed to measure one pair, in any process.

    Attributes:
        pair: The `Pair`.
        outputs: System name -> path of audio made before, for example the model's.
        pianos: `BaselinePianos`, or None to leave those baselines out.
        with_baselines: Whether to measure the baselines at all.
        with_style_notes: Whether *nearest piano* and *match EQ* may use the style clip's notes
            (the sampler cannot do without).
        with_onsets: Whether to transcribe for onset F1.
        with_pitch: Whether to hear pitches for their Jaccard distance.
        with_timbre: Whether the triplet network tells how the timbre differs.
        audio_folder: Where the baselines' audio is written to listen to; None writes none.
        seed: Seed of the noise.
    """

    pair: pairs.Pair
    outputs: dict
    pianos: BaselinePianos | None = None
    with_baselines: bool = True
    with_style_notes: bool = True
    with_onsets: bool = True
    with_pitch: bool = False
    with_timbre: bool = False
    audio_folder: pathlib.Path | None = None
    seed: int = 0

    @property
    def kind(self):
        """What a failure of the whole job is filed under."""
        return BASELINES if self.with_baselines else "+".join(self.outputs)


def generate(pair, transfer, path, **options):
    """Runs the style transfer on one pair, timed, and writes what comes out.

    Args:
        pair: A `Pair`.
        transfer: Callable as `style_transfer.transfer`.
        path: Audio file to write.
        **options: Passed on to `transfer`.

    Returns:
        Dict of `secs`, `real_time_factor` (seconds per second of content) and
        `peak_memory_bytes` (of this process while it ran, what was resident before included).
    """
    reset_peak_memory()
    start = time.perf_counter()
    audio = transfer(str(pair.content_midi), str(pair.style_audio), **options)
    secs = time.perf_counter() - start
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    audio_lib.save(path, pairs.lasting(audio, pair.truth.duration_secs))
    return {"secs": secs, "real_time_factor": secs / pair.truth.duration_secs,
            "peak_memory_bytes": peak_memory_bytes()}


def baseline_outputs(job):
    """Each baseline's `Audio` of a pair by name, and the name of the piano chosen as nearest."""
    pair, rate = job.pair, job.pair.truth.sample_rate
    num_samples = len(pair.truth.samples)
    outputs, nearest = {}, None
    if job.pianos is not None:
        nearest = _nearest(job)
        for system, piano in ((IGNORED, job.pianos.names[0]), (NEAREST, nearest)):
            outputs[system] = job.pianos.play(piano, pair)
            source = job.pianos.play_style(piano, pair) if job.with_style_notes else None
            outputs[f"{system}_eq"] = baselines.match_eq(outputs[system], pair.style, source)
    outputs[MUSAIC] = musaicing.musaic(pair.content_notes, pair.style, pair.style_notes,
                                       num_samples, rate)
    outputs[LOOP] = baselines.looped(pair.style, num_samples, rate)
    outputs[NOISY] = baselines.with_noise(pair.truth, seed=job.seed)
    return outputs, nearest


def measure(job):
    """All measures of all systems on one pair.

    Returns:
        Dict of `piano`, `content`, `nearest_piano` and `systems`: system -> measures, or
        `{"error": reason}` for one that failed. `truth` has only the onset F1, of all notes.
    """
    pair, nearest, outputs = job.pair, None, dict(job.outputs)
    if job.with_baselines:
        made, nearest = baseline_outputs(job)
        for name, audio in made.items():
            outputs[name] = audio
            if job.audio_folder is not None:
                path = job.audio_folder / name / f"{pair.name}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                audio_lib.save(path, audio)
    reference, notes = metrics.Clip(pair.truth, name="true rendering"), _onsets(pair)
    systems = {}
    for name, audio in outputs.items():
        try:
            audio = audio_lib.load(audio)
            ours = metrics.Clip(audio, len(reference.samples), name)
            systems[name] = metrics.all_metrics(ours, reference)
            if job.with_onsets:
                systems[name]["onset_f1"] = _onset_f1(audio, notes)
            if job.with_pitch:
                systems[name]["pitch_jaccard"] = published.pitch_jaccard(ours, reference)
            if job.with_timbre:
                systems[name]["timbre"] = published.timbre_distance(ours, reference)
        except (ValueError, OSError) as error:
            systems[name] = {"error": str(error)}
    if job.with_onsets:
        systems[TRUTH] = {"onset_f1": _onset_f1(pair.truth, notes)}
    return {"piano": pair.piano, "content": pair.content, "nearest_piano": nearest,
            "systems": systems}


def measure_into(path, conditions, job):
    """`measure`, kept in a JSON file; reads it instead if its conditions are the same.

    Returns:
        The results, with `resumed` saying whether they were read. A failure of the whole job
        is returned as that of a system and not kept.
    """
    path = pathlib.Path(path)
    kept = read_kept(path, conditions)
    if kept is not None:
        return {**kept, "resumed": True}
    try:
        results = measure(job)
    except Exception as error:  # one bad pair must not end a run of hundreds
        failure = {"error": f"{type(error).__name__}: {error}",
                   "traceback": traceback.format_exc()}
        return {"piano": job.pair.piano, "content": job.pair.content, "resumed": False,
                "systems": {job.kind: failure}}
    write_kept(path, conditions, results)
    return {**results, "resumed": False}


def read_kept(path, conditions):
    """Results kept under these conditions, or None."""
    try:
        kept = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return None
    return kept["results"] if kept.get("conditions") == _as_json(conditions) else None


def write_kept(path, conditions, results):
    """Writes results with their conditions, whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.written_whole(path) as partial:
        partial.write_text(json.dumps({"conditions": conditions, "results": results}, indent=1))


def reset_peak_memory():
    """Starts the peak anew where the system can (Linux); elsewhere it stays the process's."""
    try:
        with open("/proc/self/clear_refs", "w") as handle:
            handle.write("5")
    except OSError:
        pass


def peak_memory_bytes():
    """Largest resident memory of this process since `reset_peak_memory`."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _nearest(job):
    if job.with_style_notes:
        rendered = {name: job.pianos.play_style(name, job.pair)
                    for name in job.pianos.names}
        return baselines.nearest_piano(job.pair.style, rendered, same_notes=True)[0]
    rendered = {name: _repertoire(job.pianos, name) for name in job.pianos.names}
    return baselines.nearest_piano(job.pair.style, rendered, same_notes=False)[0]


@functools.lru_cache(maxsize=64)
def _repertoire(pianos, name):
    """The same pieces on each piano, one after another, to know it by."""
    clips = [pianos.play(name, pair) for pair in pianos.repertoire]
    return audio_lib.Audio(np.concatenate([clip.samples for clip in clips]), clips[0].sample_rate)


def _onsets(pair):
    table = pair.content_notes
    heard = table.onset_secs < pair.truth.duration_secs
    return np.stack([table.onset_secs, table.key + piano_roll.LOWEST_PITCH], axis=1)[heard]


def _onset_f1(audio, notes):
    return metrics.onset_f1(transcriber.transcribe(audio), notes)["f1"]


def _as_json(value):
    return json.loads(json.dumps(value))
