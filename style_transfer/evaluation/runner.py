"""Runs a benchmark over many pairs: each method first and alone, then the measures, resumably."""

import collections.abc
import dataclasses
import functools
import pathlib

from style_transfer import durations, processes
from style_transfer.evaluation import benchmark, pairs, published, source, transcriber

# Where the code begins that a model's output depends on, besides its weights and the pair (weights
# name modules of `models`), and that of the measures.
MODEL_CODE = ("style_transfer.models.piano_ddsp.one_shot", "style_transfer.models")
MEASURE_CODE = ("style_transfer.evaluation.benchmark",)


@dataclasses.dataclass(frozen=True)
class Method:
    """A style transfer that is measured.

    Attributes:
        name: What it is called in reports.
        load: Called without arguments where there is something to run; gives a callable as
            `style_transfer.transfer` and its number of parameters, or None.
        conditions: Dict of what else decides the output (weights, versions).
    """

    name: str
    load: collections.abc.Callable
    conditions: dict


@dataclasses.dataclass(frozen=True)
class Runner:
    """Where results of a run go, and how.

    Attributes:
        folder: Gets `results/` (kept measures) and `audio/<system>/<pair>.flac` to listen to.
        num_workers: Processes that measure; 1 measures in this one.
        overwrite: Measure again what is there.
        say: Called with lines of progress.
    """

    folder: pathlib.Path
    num_workers: int = 1
    overwrite: bool = False
    say: object = print

    def output(self, pair, system):
        """Path of a system's audio of a pair."""
        return self.folder / "audio" / system / f"{pair.name}.flac"

    def run_method(self, todo, method, with_style_midi=True, **options):
        """Runs a style transfer on every pair, one after another, timed.

        Args:
            todo: The `Pair`s.
            method: The `Method`; when its conditions, the pair, the options or the models' code
                change, the output is made again.
            with_style_midi: Give it the notes of the style clip.
            **options: Passed on to the transfer, in JSON's types.

        Returns:
            Pair name -> dict of `secs`, `real_time_factor`, `peak_memory_bytes` and
            `num_parameters` (where it is known), or `error`.
        """
        conditions = {**method.conditions, **options, "with_style_midi": with_style_midi,
                      "code": source.fingerprint(*MODEL_CODE)}
        load, timings, took_secs = functools.cache(method.load), {}, []
        for i, pair in enumerate(todo, 1):
            record = self.folder / "results" / method.name / f"{pair.name}.timing.json"
            under = {**conditions, "pair": pair.fingerprint()}
            path = self.output(pair, method.name)
            kept = None if self.overwrite else benchmark.read_kept(record, under)
            if kept is not None and path.is_file():
                timings[pair.name] = kept
                continue
            style_midi = str(pair.style_midi) if with_style_midi else None
            transfer, num_parameters = load()
            try:
                timing = benchmark.generate(pair, transfer, path, style_midi=style_midi, **options)
                if num_parameters is not None:
                    timing["num_parameters"] = num_parameters
                timings[pair.name] = timing
                benchmark.write_kept(record, under, timing)
                took_secs.append(timing["secs"])
                left = durations.left(sum(took_secs), len(took_secs), len(took_secs + todo[i:]))
                self.say(f"{method.name} {i}/{len(todo)} {pair.name}: {timing['secs']:.1f} s, "
                         f"real-time factor {timing['real_time_factor']:.3f}, {left}")
            except Exception as error:  # one bad pair must not end a run of hundreds
                timings[pair.name] = {"error": f"{type(error).__name__}: {error}"}
                self.say(f"{method.name} {i}/{len(todo)} {pair.name} failed: {error}")
        return timings

    def measure_method(self, todo, name, timings, **measures):
        """Measures what `run_method` wrote, and adds how long it took.

        Args:
            todo: The `Pair`s.
            name: The method's.
            timings: From `run_method`.
            **measures: `with_onsets`, `with_pitch` and `with_timbre`, see `Job`.
        """
        jobs = [benchmark.Job(pair, {name: self.output(pair, name)}, with_baselines=False,
                              **measures)
                for pair in todo if "error" not in timings[pair.name]]
        results = self._measured(jobs, name)
        for pair, result in zip([job.pair for job in jobs], results, strict=True):
            result["systems"][name].update(timings[pair.name])
        failed = [{"piano": pair.piano, "content": pair.content,
                   "systems": {name: timings[pair.name]}}
                  for pair in todo if "error" in timings[pair.name]]
        return results + failed

    def measure_baselines(self, todo, pianos, with_style_notes=True, seed=0, **measures):
        """Makes and measures the baselines of every pair.

        Args:
            todo: The `Pair`s.
            pianos: `BaselinePianos`, or None to leave out those that need other pianos.
            with_style_notes: See `Job`.
            seed: See `Job`.
            **measures: As for `measure_method`.
        """
        jobs = [benchmark.Job(pair, {}, pianos, with_style_notes=with_style_notes,
                              audio_folder=self.folder / "audio", seed=seed, **measures)
                for pair in todo]
        return self._measured(jobs, "baselines")

    def _measured(self, jobs, kind):
        paths = [self.folder / "results" / kind / f"{job.pair.name}.json" for job in jobs]
        conditions = [_conditions(job) for job in jobs]
        if self.overwrite:
            for path in paths:
                path.unlink(missing_ok=True)
        results = []
        arguments = (paths, conditions, jobs)
        if self.num_workers == 1 or len(jobs) < 2:
            self._collect(map(benchmark.measure_into, *arguments), jobs, kind, results)
        else:
            with processes.pool(self.num_workers) as pool:
                self._collect(pool.map(benchmark.measure_into, *arguments), jobs, kind, results)
        return results

    def _collect(self, produced, jobs, kind, results):
        for result in produced:
            results.append(result)
            if not result["resumed"]:
                errors = [values["error"] for values in result["systems"].values()
                          if "error" in values]
                self.say(f"measured {kind} {len(results)}/{len(jobs)} {result['piano']} "
                         f"{result['content']}" + "".join(f"; failed: {e}" for e in errors))


def merged(*parts):
    """Results of the same pairs, each with some of the systems, as one dict per pair."""
    found = {}
    for result in (result for part in parts for result in part):
        key = (result["piano"], result["content"])
        whole = found.setdefault(key, {"piano": key[0], "content": key[1], "systems": {}})
        whole["systems"].update(result["systems"])
        if result.get("nearest_piano"):
            whole["nearest_piano"] = result["nearest_piano"]
    return list(found.values())


def _conditions(job):
    return {
        "pair": job.pair.fingerprint(),
        "outputs": {name: pairs.files_hash([path]) for name, path in job.outputs.items()},
        "pianos": None if job.pianos is None else list(job.pianos.names),
        "repertoire": None if job.pianos is None or job.with_style_notes else [
            pair.name for pair in job.pianos.repertoire],
        "with_baselines": job.with_baselines, "with_style_notes": job.with_style_notes,
        "with_onsets": job.with_onsets, "with_pitch": job.with_pitch,
        "timbre": published.versions(job.with_timbre), "seed": job.seed,
        "transcriber": transcriber.versions() if job.with_onsets else {},
        "code": source.fingerprint(*MEASURE_CODE)}
