"""Runs a benchmark over many pairs: the model first and alone, then the measures, resumably."""

import concurrent.futures
import dataclasses
import multiprocessing
import pathlib

from style_transfer.evaluation import benchmark, pairs, source, transcriber

# Where the code begins that a model's output depends on, besides its weights and the pair (weights
# name modules of `models`), and that of the measures.
MODEL_CODE = ("style_transfer.models.piano_ddsp.one_shot", "style_transfer.models")
MEASURE_CODE = ("style_transfer.evaluation.benchmark",)


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

    def output(self, pair, system=benchmark.MODEL):
        """Path of a system's audio of a pair."""
        return self.folder / "audio" / system / f"{pair.name}.flac"

    def run_model(self, todo, transfer, conditions, with_style_midi=True, **options):
        """Runs a style transfer on every pair, one after another, timed.

        Args:
            todo: The `Pair`s.
            transfer: Callable as `style_transfer.transfer`.
            conditions: Dict of what else decides the output (weights, versions); when it, the
                pair, the options or the model's code change, the output is made again.
            with_style_midi: Give it the notes of the style clip.
            **options: Passed on to `transfer`, in JSON's types.

        Returns:
            Pair name -> dict of `secs`, `real_time_factor`, `peak_memory_bytes`, or `error`.
        """
        conditions = {**conditions, **options, "with_style_midi": with_style_midi,
                      "code": source.fingerprint(*MODEL_CODE)}
        timings = {}
        for i, pair in enumerate(todo, 1):
            record = self.folder / "results" / benchmark.MODEL / f"{pair.name}.timing.json"
            under = {**conditions, "pair": pair.fingerprint()}
            path = self.output(pair)
            kept = None if self.overwrite else benchmark.read_kept(record, under)
            if kept is not None and path.is_file():
                timings[pair.name] = kept
                continue
            style_midi = str(pair.style_midi) if with_style_midi else None
            try:
                timings[pair.name] = benchmark.generate(pair, transfer, path,
                                                        style_midi=style_midi, **options)
                benchmark.write_kept(record, under, timings[pair.name])
                self.say(f"model {i}/{len(todo)} {pair.name}: {timings[pair.name]['secs']:.1f} s, "
                         f"real-time factor {timings[pair.name]['real_time_factor']:.3f}")
            except Exception as error:  # one bad pair must not end a run of hundreds
                timings[pair.name] = {"error": f"{type(error).__name__}: {error}"}
                self.say(f"model {i}/{len(todo)} {pair.name} failed: {error}")
        return timings

    def measure_model(self, todo, timings, with_onsets=True):
        """Measures what `run_model` wrote; timings join the measures of system `model`."""
        jobs = [benchmark.Job(pair, {benchmark.MODEL: self.output(pair)}, with_baselines=False,
                              with_onsets=with_onsets)
                for pair in todo if "error" not in timings[pair.name]]
        results = self._measured(jobs, benchmark.MODEL)
        for pair, result in zip([job.pair for job in jobs], results, strict=True):
            result["systems"][benchmark.MODEL].update(timings[pair.name])
        failed = [{"piano": pair.piano, "content": pair.content,
                   "systems": {benchmark.MODEL: timings[pair.name]}}
                  for pair in todo if "error" in timings[pair.name]]
        return results + failed

    def measure_baselines(self, todo, pianos, with_style_notes=True, with_onsets=True, seed=0):
        """Makes and measures the baselines of every pair.

        Args:
            todo: The `Pair`s.
            pianos: `BaselinePianos`, or None to leave out those that need other pianos.
            with_style_notes: See `Job`.
            with_onsets: See `Job`.
            seed: See `Job`.
        """
        jobs = [benchmark.Job(pair, {}, pianos, with_style_notes=with_style_notes,
                              with_onsets=with_onsets, audio_folder=self.folder / "audio",
                              seed=seed) for pair in todo]
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
            context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
            with concurrent.futures.ProcessPoolExecutor(self.num_workers, context) as pool:
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
        "with_onsets": job.with_onsets, "seed": job.seed,
        "transcriber": transcriber.versions() if job.with_onsets else {},
        "code": source.fingerprint(*MEASURE_CODE)}
