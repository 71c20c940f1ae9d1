"""Results of an evaluation as a table, JSON and a picture."""

import contextlib
import json
import os

import numpy as np

from style_transfer import outputs
from style_transfer.evaluation import benchmark, intervals, metrics

MEAN = "mean"
ONSET, ONSET_RATIO, REAL_TIME, MEMORY, PARAMETERS = (
    "onset_f1", "onset_f1_of_truth", "real_time_factor", "peak_memory_bytes", "num_parameters")
PITCH, TIMBRE = "pitch_jaccard", "timbre"
MEASURES = (*metrics.AUDIO_METRICS, TIMBRE, PITCH, ONSET)  # those with intervals
COLUMNS = (*MEASURES, ONSET_RATIO, REAL_TIME, MEMORY, PARAMETERS)
REQUIRED_ONSET_RATIO = 0.95
LABELS = {  # of what is no method
    benchmark.IGNORED: "style ignored",
    benchmark.NEAREST: "nearest piano", benchmark.IGNORED_EQ: "style ignored + match EQ",
    benchmark.NEAREST_EQ: "nearest piano + match EQ", benchmark.MUSAIC: "musaicing sampler",
    benchmark.LOOP: "style clip itself", benchmark.NOISY: "truth with -40 dB noise",
    benchmark.TRUTH: "truth",
}
_HEADINGS = {"logmel_l1": "logmel", "logmel_l1_60": "logmel60", "spectral_60": "spectral60",
             "lsd_cifka": "lsd_cif", "mfcc_cos": "mfcc", ONSET: "onsetF1", ONSET_RATIO: "/truth",
             PITCH: "pitch", REAL_TIME: "rtf", MEMORY: "peak MB", PARAMETERS: "params"}
_MARKDOWN = {"logmel_l1_60": "log-mel L1, dB", "spectral_60": "spectral loss", "lsd": "LSD, dB",
             "mfcc_cos": "MFCC distance", ONSET: "onset F1 ↑", "lsd_cifka": "LSD of the paper, dB",
             TIMBRE: "timbre of the paper", PITCH: "pitch of the paper",
             PARAMETERS: "parameters", REAL_TIME: "real-time factor", MEMORY: "memory, MB"}
_TITLES = {"logmel_l1_60": "log-mel L1 (dB), floor 60 dB under the peak: less is better",
           "spectral_60": "spectral loss, floor 60 dB under the peak: less is better",
           ONSET: "onset F1 by Basic Pitch: more is better (red: the true rendering)"}
_AVERAGES = {REAL_TIME: np.median, MEMORY: np.max, PARAMETERS: np.max}


def summarize(results):
    """Means per piano and over all pairs.

    Args:
        results: One dict per pair, from `runner.merged`; failed systems are left out of the
            means and listed.

    Returns:
        Dict of `pianos`: piano (and `mean`) -> system -> measure -> mean, with `num_pairs` and
        `intervals` (measure -> low and high end, 95 %, see `intervals.of_mean`; where there are
        two pairs or more); `methods`: names of systems that are no baselines; and `failures`: a
        list of `{piano, content, system, error}`. The onset F1 also relative to the true
        rendering's (ratio of means). The real-time factor is the median, since the first call
        builds graphs; the memory is the largest.
    """
    failures = [{"piano": r["piano"], "content": r["content"], "system": name,
                 "error": values["error"]}
                for r in results for name, values in r["systems"].items() if "error" in values]
    groups = {piano: [r for r in results if r["piano"] == piano]
              for piano in sorted({r["piano"] for r in results})}
    there = list(dict.fromkeys(name for r in results for name in r["systems"]))
    methods = [name for name in there if name not in LABELS and name != benchmark.BASELINES]
    names = [*methods, *(name for name in LABELS if name in there)]
    return {"pianos": {name: _means(group, names)
                       for name, group in {**groups, MEAN: results}.items()},
            "methods": methods, "failures": failures}


def label(system):
    """What a system is called in reports."""
    return LABELS.get(system, system)


def _means(group, names):
    means = {}
    for name in names:
        if not any(name in r["systems"] for r in group):
            continue
        rows = [r["systems"][name] for r in group
                if name in r["systems"] and "error" not in r["systems"][name]]
        keys = dict.fromkeys(key for row in rows for key in row)
        means[name] = {"num_pairs": len(rows), **{
            key: float(_AVERAGES.get(key, np.mean)([row[key] for row in rows if key in row]))
            for key in keys}, "intervals": _intervals(group, name)}
    true_f1 = means.get(benchmark.TRUTH, {}).get(ONSET)
    for values in means.values():
        if true_f1 and ONSET in values:
            values[ONSET_RATIO] = values[ONSET] / true_f1
    return means


def _intervals(group, name):
    """95 % intervals of a system's means, by measure."""
    found = {}
    for measure in MEASURES:
        rows = [r for r in group if measure in r["systems"].get(name, {})]
        between = intervals.of_mean([r["systems"][name][measure] for r in rows],
                                    [r["piano"] for r in rows], [r["content"] for r in rows])
        if between is not None:
            found[measure] = between
    return found


def verdicts(summary, system):
    """What must hold of a method, as `(claim, whether it holds, figures)`.

    Better in the mean than each rival on both headline measures, better than *style ignored* on
    every piano, and onsets nearly as clear as the true rendering's. Claims about baselines that
    were not measured are left out.
    """
    overall = summary["pianos"][MEAN]
    if system not in overall or not overall[system]["num_pairs"]:
        return []
    ours, claims = overall[system], []
    for rival in benchmark.RIVALS:
        for measure in metrics.HEADLINE:
            if measure in overall.get(rival, {}):
                claims.append((f"{measure} below {label(rival)}",
                               ours[measure] < overall[rival][measure],
                               f"{ours[measure]:.3f} against {overall[rival][measure]:.3f}"))
    claims += _on_every_piano(summary, system)
    if ONSET_RATIO in ours:
        claims.append((f"onset F1 at least {REQUIRED_ONSET_RATIO} of the truth's",
                       ours[ONSET_RATIO] >= REQUIRED_ONSET_RATIO, f"{ours[ONSET_RATIO]:.3f}"))
    return claims


def _on_every_piano(summary, system):
    claims = []
    for measure in metrics.HEADLINE:
        worse = [name for name, systems in summary["pianos"].items()
                 if measure in systems.get(benchmark.IGNORED, {}) and measure in
                 systems.get(system, {})
                 and systems[system][measure] >= systems[benchmark.IGNORED][measure]]
        if measure in summary["pianos"][MEAN].get(benchmark.IGNORED, {}):
            claims.append((f"{measure} below style ignored on every piano", not worse,
                           f"not on {', '.join(worse)}" if worse else "all"))
    return claims


def table(summary):
    """The summary as text: one block per piano, the mean last."""
    return "\n\n".join(_block(name, systems) for name, systems in summary["pianos"].items())


def text(summary):
    """The tables, what holds of each method, and what failed."""
    lines = [table(summary)]
    for system in summary["methods"]:
        lines += ["", f"{system}:"]
        lines += [f"{'yes' if holds else 'NO':<4}{claim}: {figures}"
                  for claim, holds, figures in verdicts(summary, system)]
    for failure in summary["failures"]:
        lines.append(f"failed: {failure['system']} on {failure['piano']} {failure['content']}: "
                     f"{failure['error']}")
    return "\n".join(lines)


def environment():
    """Versions of what measures, and the machine, for the conditions of a report."""
    import platform
    from importlib import metadata

    versions = {}
    for name in ("style-transfer", "numpy", "scipy", "librosa", "keras", "tensorflow",
                 "tensorflow-cpu", "basic-pitch", "onnxruntime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {"versions": versions, "python": platform.python_version(),
            "platform": platform.platform(), "cpu_cores": os.cpu_count()}


def write_text(path, content):
    """Writes text, whole or not at all."""
    with outputs.named(path, overwrite=True) as partial:
        partial.write_text(content + "\n")


def _block(name, systems):
    columns = [column for column in COLUMNS
               if any(column in values for values in systems.values())]
    num_pairs = max((values["num_pairs"] for values in systems.values()), default=0)
    heading = f"{name} ({num_pairs} pairs)"
    lines = [f"{heading:<28}" + "".join(f"{_HEADINGS.get(c, c):>11}" for c in columns)]
    for system, values in systems.items():
        cells = "".join(f"{_cell(column, values.get(column)):>11}" for column in columns)
        lines.append(f"{label(system):<28}{cells}")
    return "\n".join(lines)


def _cell(column, value):
    if value is None:
        return "-"
    if column == MEMORY:
        return f"{value / 2 ** 20:.0f}"
    return f"{value:,.0f}" if column == PARAMETERS else f"{value:.3f}"


def markdown(summary):
    """Means over all pairs with their intervals, as a Markdown table."""
    systems = summary["pianos"][MEAN]
    columns = {column: heading for column, heading in _MARKDOWN.items()
               if any(column in values for values in systems.values())}
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for system, values in systems.items():
        name = f"**{system}**" if system in summary["methods"] else label(system)
        cells = []
        for column in columns:
            cell = _cell(column, values.get(column))
            between = values["intervals"].get(column)
            if between:
                digits = 2 if values[column] >= 1 else 3
                cell = f"{values[column]:.{digits}f} [{between[0]:.{digits}f}, " \
                       f"{between[1]:.{digits}f}]"
            cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_json(path, summary, results, conditions):
    """Everything that was measured and under which conditions, whole or not at all."""
    content = {"conditions": conditions, "summary": summary["pianos"],
               "verdicts": [{"system": system, "claim": claim, "holds": bool(holds),
                             "figures": figures} for system in summary["methods"]
                            for claim, holds, figures in verdicts(summary, system)],
               "failures": summary["failures"], "pairs": results}
    write_text(path, json.dumps(content, indent=1))


def plot(path, summary):
    """Bars of both headline measures per piano, and the onset F1 where it was measured.

    Raises:
        ValueError: Nothing was measured.
    """
    pianos = summary["pianos"]
    systems = [name for name, values in pianos[MEAN].items() if name != benchmark.TRUTH
               and values["num_pairs"]]
    if not systems:
        raise ValueError("No system was measured, so there is nothing to plot.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measures = [*metrics.HEADLINE, *([ONSET] if any(ONSET in v for v in pianos[MEAN].values())
                                     else [])]
    size = (max(10.0, 2.5 + 1.25 * len(pianos)), 3.2 * len(measures))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(measures), squeeze=False)[:, 0]
    for axis, measure in zip(axes, measures, strict=True):
        _bars(axis, pianos, systems, measure)
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, fontsize=8,
                  loc="outside upper center")
    with outputs.named(path, overwrite=True) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _bars(axis, pianos, systems, measure):
    width = 0.85 / len(systems)
    for i, system in enumerate(systems):
        heights = [pianos[name].get(system, {}).get(measure, np.nan) for name in pianos]
        colour = "black" if i == 0 else f"C{i}"
        axis.bar(np.arange(len(pianos)) + (i - (len(systems) - 1) / 2) * width, heights, width,
                 label=label(system), color=colour)
    if measure == ONSET:
        for x, name in enumerate(pianos):
            true_f1 = pianos[name].get(benchmark.TRUTH, {}).get(ONSET)
            if true_f1:
                axis.hlines(true_f1, x - 0.45, x + 0.45, colors="red", linewidth=1.2)
    axis.set_title(_TITLES[measure], fontsize=10)
    labels = [name.replace("_", " ") for name in pianos]
    axis.set_xticks(range(len(pianos)), labels, fontsize=8, wrap=True)
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
