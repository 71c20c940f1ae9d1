"""Writes a listening test: a folder with a page, sounds of blind names, and a key apart from it.

`page/` can be opened from a disk, put on any web server, or sent; `key.json` tells which system is
which, and stays with who asks.
"""

import hashlib
import itertools
import json
import pathlib
import random
import shutil

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import files
from style_transfer import outputs as outputs_lib
from style_transfer.audio import Audio
from style_transfer.evaluation import pairs as pairs_lib

REFERENCE, ANCHOR = "reference", "anchor"
ANCHOR_HZ = 3500.0
LEVEL_DB = -23.0
SECS = 10.0
FADE_SECS = 0.02
MAX_STIMULI = 12  # more in one trial than nobody can compare, says the recommendation
MAX_TRIALS = 12  # of each kind
WEB = pathlib.Path(__file__).parent / "web"


def write(folder, todo, outputs, secs=SECS, seed=0):
    """Writes the test.

    MUSHRA trials: one for each pair, with all systems, the hidden reference and an anchor (the
    reference without what is above 3.5 kHz). AB trials: two systems beside the reference, every two
    of them at least once. Sounds are cut to the loudest seconds of the reference and equally loud.

    Args:
        folder: Where to; `page/` and `key.json` are replaced.
        todo: The `Pair`s; at most `MAX_TRIALS` are taken, chosen by the seed.
        outputs: System name -> function from a `Pair` to the path of its audio. What is not there
            is left out.
        secs: Length of the sounds.
        seed: Of choices, names and orders.

    Returns:
        Path of the page.

    Raises:
        ValueError: There are fewer than two systems to compare, or more than fit into a trial.

    Source: ITU-R BS.1534-3 (MUSHRA).
    """
    found = _available(todo, outputs)
    systems = list(dict.fromkeys(name for named in found.values() for name in named))
    if len(systems) < 2:
        raise ValueError(f"A listening test compares two systems or more; there is audio of "
                         f"{systems}. Measure several (--config=piano_ddsp,ulyanov; --baselines).")
    if len(systems) > MAX_STIMULI - 2:
        raise ValueError(f"{len(systems)} systems, the reference and the anchor are more than the "
                         f"{MAX_STIMULI} sounds that can be compared in one trial: choose some "
                         "with --listening_systems.")
    rng = random.Random(seed)
    chosen = rng.sample(list(found), min(MAX_TRIALS, len(found)))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    trials, key = [], {}
    outputs_lib.check_named(folder / "key.json")
    with files.folder_written_whole(folder / "page") as page:
        (page / "sounds").mkdir()
        sounds = {pair: _write_sounds(page / "sounds", pair, found[pair], secs, seed)
                  for pair in chosen}
        for kind, pair, names in [*_mushra(chosen, found), *_ab(chosen, found)]:
            name = f"{kind}-{len(trials)}"
            trials.append({"id": name, "kind": kind, "reference": sounds[pair][REFERENCE],
                           "stimuli": [{"id": _blind(seed, name, system), "file": sounds[pair][
                               system]} for system in names]})
            key[name] = {"kind": kind, "pair": pair.name, "stimuli": {
                _blind(seed, name, system): system for system in names}}
        test_id = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
        for file in WEB.iterdir():
            shutil.copyfile(file, page / file.name)
        about = {"id": test_id, "seed": seed, "secs": secs, "trials": trials}
        (page / "trials.js").write_text(f"window.LISTENING_TEST = {json.dumps(about)};\n")
    with outputs_lib.named(folder / "key.json", overwrite=True) as partial:
        partial.write_text(json.dumps({"test": test_id, "systems": systems, "trials": key},
                                      indent=1) + "\n")
    return folder / "page" / "index.html"


def _available(todo, outputs):
    found = {}
    for pair in todo:
        paths = {name: path(pair) for name, path in outputs.items()}
        found[pair] = {name: path for name, path in paths.items() if pathlib.Path(path).is_file()}
    return {pair: paths for pair, paths in found.items() if paths}


def _mushra(chosen, found):
    return [("mushra", pair, (REFERENCE, ANCHOR, *found[pair])) for pair in chosen]


def _ab(chosen, found):
    """Every two systems, on one pair after the other."""
    systems = dict.fromkeys(name for pair in chosen for name in found[pair])
    couples = list(itertools.combinations(systems, 2))
    trials = []
    for turn in range(max(len(couples), min(MAX_TRIALS, len(couples) * len(chosen)))):
        again, place = divmod(turn, len(couples))
        having = [pair for pair in chosen if set(couples[place]) <= set(found[pair])]
        if having:
            trials.append(("ab", having[(place + again) % len(having)], couples[place]))
    return list(dict.fromkeys(trials))


def _write_sounds(folder, pair, paths, secs, seed):
    """The pair's sounds, equally long and loud: their addresses by system."""
    clips = {REFERENCE: pair.truth, ANCHOR: anchor(pair.truth),
             **{name: audio_lib.load(path) for name, path in paths.items()}}
    rate = pair.truth.sample_rate
    whole = min(int(secs), int(pair.truth.duration_secs))
    start = audio_lib.loudest_start(pair.truth.samples, rate, max(1, whole)) / rate
    cut = {name: _excerpt(clip, start, secs) for name, clip in clips.items()}
    cut = {name: audio_lib.at_loudness(clip, LEVEL_DB) for name, clip in cut.items()}
    # One that would clip is lowered; then all are.
    level = min(clip.rms_db for clip in cut.values() if clip.rms_db > audio_lib.LOUDNESS_FLOOR_DB)
    addresses = {}
    for name, clip in cut.items():
        address = f"sounds/{_blind(seed, pair.name, name)}.flac"
        (folder.parent / address).write_bytes(audio_lib.encode_flac(
            audio_lib.at_loudness(clip, level)))
        addresses[name] = address
    return addresses


def anchor(audio):
    """`audio` without what lies above 3.5 kHz: what a listener should hear to be worse."""
    from scipy import signal

    if audio.sample_rate <= 2 * ANCHOR_HZ:
        return audio
    taps = signal.butter(10, ANCHOR_HZ, fs=audio.sample_rate, output="sos")
    return Audio(signal.sosfiltfilt(taps, audio.samples), audio.sample_rate)


def _excerpt(clip, start_secs, secs):
    rate = clip.sample_rate
    part = Audio(clip.samples[round(start_secs * rate):], rate)
    part = pairs_lib.lasting(part, secs)
    fade = np.ones(len(part.samples), np.float32)
    ramp = np.linspace(0, 1, round(FADE_SECS * rate), dtype=np.float32)
    fade[:len(ramp)], fade[-len(ramp):] = ramp, ramp[::-1]  # it is played in a loop
    return Audio(part.samples * fade, rate)


def _blind(seed, *names):
    return hashlib.sha256("\n".join((str(seed), *names)).encode()).hexdigest()[:12]
