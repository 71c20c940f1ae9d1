"""What the answers to a listening test say."""

import itertools
import json
import pathlib

import numpy as np

from style_transfer import files
from style_transfer.evaluation import intervals
from style_transfer.evaluation.listening.page import REFERENCE

# Listeners who give the hidden reference less than this in more trials than that are left out.
HIDDEN_REFERENCE_LEAST, SHARE_OF_TRIALS = 90, 0.15


def load(folder, places):
    """Answers with the systems' names.

    Args:
        folder: Of the test, with its `key.json`.
        places: JSON files that the page saved, or folders of them.

    Returns:
        Two lists of dicts: ratings with `listener`, `pair`, `system`, `score`; choices with
        `listener`, `pair`, `systems` (two) and `better`, one of them or None.

    Raises:
        FileNotFoundError: The key or an answer is missing.
        ValueError: A file is no answer to this test.
    """
    key = json.loads((pathlib.Path(folder) / "key.json").read_text())
    ratings, choices = [], []
    for path in _files(places):
        given = _read(path, key["test"])
        for trial in given["trials"]:
            known = key["trials"][trial["id"]]
            about = {"listener": given["listener"], "pair": known["pair"]}
            if known["kind"] == "mushra":
                ratings += [{**about, "trial": trial["id"], "system": known["stimuli"][stimulus],
                             "score": float(score)}
                            for stimulus, score in trial["ratings"].items()]
            else:
                choices.append({**about, "systems": sorted(known["stimuli"].values()),
                                "better": known["stimuli"].get(trial["choice"])})
    return ratings, choices


def summarize(ratings, choices):
    """Scores and preferences with 95 % intervals.

    Args:
        ratings: From `load`.
        choices: From `load`.

    Returns:
        Dict of `left_out`, listeners who did not hear the hidden reference; `scores`: system ->
        `mean`, `interval`, `count`; `preferences`: a list of dicts with `systems` (two), `better`
        (how often the first was, and the second), `undecided`, `share` (of the first among the
        decided), its `interval` and `p_value` (two-sided, that both are equally good).

    Source: ITU-R BS.1534-3 for whom to leave out; Wilson, 1927, for intervals of shares.
    """
    left_out = _inattentive(ratings)
    ratings = [rating for rating in ratings if rating["listener"] not in left_out]
    choices = [choice for choice in choices if choice["listener"] not in left_out]
    scores = {}
    for system in dict.fromkeys(rating["system"] for rating in ratings):
        own = [rating for rating in ratings if rating["system"] == system]
        values = [rating["score"] for rating in own]
        scores[system] = {
            "mean": float(np.mean(values)), "count": len(values),
            "interval": intervals.of_mean(values, [rating["listener"] for rating in own],
                                          [rating["pair"] for rating in own])}
    scores = dict(sorted(scores.items(), key=lambda item: -item[1]["mean"]))
    return {"left_out": left_out, "scores": scores, "preferences": [
        _preference(couple, list(own)) for couple, own in itertools.groupby(
            sorted(choices, key=lambda choice: choice["systems"]), lambda c: c["systems"])]}


def text(summary):
    """The summary as lines."""
    lines = [f"{'MUSHRA':<28}{'mean':>8}{'95 % interval':>18}{'ratings':>9}"]
    for system, values in summary["scores"].items():
        lines.append(f"{system:<28}{values['mean']:>8.1f}{_between(values['interval'], '.1f'):>18}"
                     f"{values['count']:>9}")
    lines.append("")
    lines.append(f"{'preferred':<56}{'share':>8}{'95 % interval':>18}{'p':>8}{'undecided':>11}")
    for found in summary["preferences"]:
        share = "-" if found["share"] is None else f"{found['share']:.2f}"
        p_value = "-" if found["p_value"] is None else f"{found['p_value']:.3f}"
        first, second = found["systems"]
        counts = f"{first} ({found['better'][0]}) over {second} ({found['better'][1]})"
        lines.append(f"{counts:<56}{share:>8}{_between(found['interval'], '.2f'):>18}{p_value:>8}"
                     f"{found['undecided']:>11}")
    if summary["left_out"]:
        lines += ["", f"left out, as they rated the hidden reference under "
                  f"{HIDDEN_REFERENCE_LEAST} too often: {', '.join(summary['left_out'])}"]
    return "\n".join(lines)


def _between(interval, form):
    return "-" if interval is None else f"{interval[0]:{form}} to {interval[1]:{form}}"


def _preference(couple, choices):
    from scipy import stats

    counts = [sum(choice["better"] == system for choice in choices) for system in couple]
    decided = sum(counts)
    found = {"systems": list(couple), "better": counts, "undecided": len(choices) - decided,
             "share": None, "interval": None, "p_value": None}
    if decided:
        tested = stats.binomtest(counts[0], decided)
        between = tested.proportion_ci(intervals.LEVEL, "wilson")
        found |= {"share": counts[0] / decided, "interval": (between.low, between.high),
                  "p_value": float(tested.pvalue)}
    return found


def _inattentive(ratings):
    hidden = {}
    for rating in ratings:
        if rating["system"] == REFERENCE:
            hidden.setdefault(rating["listener"], []).append(rating["score"])
    return sorted(listener for listener, scores in hidden.items()
                  if np.mean(np.less(scores, HIDDEN_REFERENCE_LEAST)) > SHARE_OF_TRIALS)


def _files(places):
    found = []
    for place in map(pathlib.Path, places):
        found += sorted(place.glob("*.json")) if place.is_dir() else [place]
    if not found:
        raise FileNotFoundError(f"There are no answers in {', '.join(map(str, places))}: expected "
                                "the JSON files that the page saves.")
    return found


def _read(path, test):
    try:
        given = json.loads(path.read_text())
        of_test, trials, listener = given["test"], given["trials"], given["listener"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no file that the page of a listening test saved "
                         f"({files.reason(error)}).") from error
    if of_test != test:
        raise ValueError(f"{path} answers another test ({of_test}) than this one ({test}).")
    return {"trials": trials, "listener": listener}
