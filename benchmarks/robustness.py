"""Thousands of damaged inputs of every kind: each is taken, or refused in one clear sentence.

Inputs are small good ones with a few bytes, numbers or words changed, each from a seed of its own,
so that any can be made again (`--kinds=midi --first=1234 --num_inputs=1 --keep=folder`). A fault is

* an exception that the package did not raise itself as a ValueError or OSError, or whose message is
  empty, of several lines, or no sentence;
* a warning that the package did not give itself;
* a result that is not finite;
* a process that ends, or takes more than 30 s or 2 GB.

  python -m benchmarks.robustness --num_inputs=10000 --seed=0
"""

import collections
import dataclasses
import functools
import io
import json
import pathlib
import random
import re
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile

from absl import app, flags

from style_transfer.pipelines import isolated_workers
from style_transfer.scripts import _cli

ROOT = pathlib.Path(__file__).resolve().parents[1]
MAX_SECS, MAX_BYTES = 30.0, 2 << 30
RATE = 24_000
_MOST_SHOWN = 8
_LONGEST_MESSAGE = 700
_ODD_NUMBERS = ("0", "-1", "1e308", "nan", "inf", "-inf", "99999999999999999999", "0.5", "", "x")
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
# Of 100 inputs, how many are of each kind: what takes long to try is tried less often.
SHARES = {"midi": 27, "sequence": 17, "score": 7, "audio": 20, "sfz": 10, "piano": 10,
          "request": 7, "checkpoint": 2}


class UnsoundError(Exception):
    """What was made of an input is no result."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        verdict: `accepted`, `refused` or `fault`.
        said: The message, or what the fault is.
        secs: Processor seconds it took.
        peak_bytes: Memory it took beyond what its process had.
    """

    verdict: str
    said: str
    secs: float
    peak_bytes: int


def mutated(data, rng):
    """Bytes with a few flipped, cut, doubled or overwritten by extreme numbers."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = data[:rng.randrange(60)]
        elif kind == 3:
            data[at:at + 4] = struct.pack("<I", rng.choice([0, 1, 2**16, 2**31, 2**32 - 1]))
        else:
            at = rng.randrange(48)  # a header
            data[at:at + 1] = bytes([rng.randrange(256)])
    return bytes(data)


def mutated_text(data, rng):
    """Text with a few numbers replaced, words dropped or exchanged; at times as any bytes are."""
    if rng.random() < 0.25:
        return mutated(data, rng)
    for _ in range(rng.randint(1, 3)):
        found = list(_NUMBER.finditer(data))
        kind = rng.randrange(3)
        if kind == 0 and found:
            there = rng.choice(found)
            data = data[:there.start()] + rng.choice(_ODD_NUMBERS).encode() + data[there.end():]
            continue
        words = re.split(rb"(\s+)", data)
        at = rng.randrange(len(words))
        words[at] = b"" if kind == 1 else rng.choice(words)
        data = b"".join(words)
    return data


def _mutated_zip(data, rng):
    """An archive with one of its members damaged, and its check sums right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        names = source.namelist()
        chosen = rng.choice(names)
        for name in names:
            member = source.read(name)
            if name == chosen:
                if rng.random() < 0.1:
                    continue
                member = (mutated_text if name.endswith(".json") else mutated)(member, rng)
            target.writestr(name, member)
    return out.getvalue()


def _read(*patterns):
    return [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def _check_table(table):
    import numpy as np

    for column in (table.onset_secs, table.release_secs, table.damped_secs, table.velocity):
        if not np.all(np.isfinite(column)):
            raise UnsoundError("notes that are not finite")
    if len(table) and (table.key.min() < 0 or table.key.max() > 87 or table.onset_secs.min() < 0):
        raise UnsoundError("notes beyond the keyboard or before the beginning")


def _check_audio(audio):
    import numpy as np

    if not np.all(np.isfinite(audio.samples)):
        raise UnsoundError("samples that are not finite")


class _Notes:
    """MIDI, scores and NoteSequences, as they are played and, of MIDI, as Magenta reads."""

    def __init__(self, seeds, mutate, as_magenta=False):
        from style_transfer import piano_roll
        from style_transfer.midi import limits, load, reader

        self.seeds, self.mutate, self._as_magenta = seeds, mutate, as_magenta
        self._roll, self._load, self._reader = piano_roll, load, reader
        self._unreadable = limits.UnreadableFileError

    def try_out(self, data, folder):
        del folder
        if self._as_magenta:
            try:
                self._reader.note_sequence(data)
            except self._unreadable:
                pass  # a phrase to count by
        _check_table(self._roll.note_table(self._load.load(data)))


def _midi():
    return _Notes(_read("tests/midi/cases/*.mid", "tests/midi/cases/*.rmi",
                        "examples/traeumerei.mid"), mutated, as_magenta=True)


def _scores():
    abc = b"X:1\nT:a\nM:3/4\nL:1/8\nQ:1/4=90\nK:Dm\n|:\"Dm\"DEF (3GAB|[CEG]2 z2:|1 ^c4:|2 _d6|]\n"
    return _Notes([*_read("tests/midi/scores/cases/*.xml"), abc, abc], mutated_text)


def _sequences():
    from note_seq.protobuf import music_pb2

    made = music_pb2.NoteSequence(ticks_per_quarter=220, total_time=2.0)
    made.tempos.add(qpm=100)
    made.time_signatures.add(numerator=3, denominator=4)
    for i in range(12):
        made.notes.add(pitch=40 + 3 * i, velocity=20 + 8 * i, start_time=i / 8,
                       end_time=i / 8 + 0.4, instrument=i % 2, program=i % 3)
        made.control_changes.add(time=i / 9, control_number=(64, 66, 67)[i % 3],
                                 control_value=127 * (i % 2), instrument=i % 2)
    return _Notes([made.SerializeToString()], mutated)


def _tone(container, subtype, channels=1, secs=0.2):
    import numpy as np
    import soundfile

    tone = 0.4 * np.sin(2 * np.pi * 220 * np.arange(int(secs * RATE)) / RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone] * channels, axis=1), RATE, subtype, format=container)
    return buffer.getvalue()


class _Recordings:
    """Recordings of several containers, resampled and mixed."""

    mutate = staticmethod(mutated)

    def __init__(self):
        from style_transfer import audio

        self._audio = audio
        self.seeds = [_tone("WAV", "PCM_16"), _tone("WAV", "PCM_24", 2), _tone("WAV", "FLOAT"),
                      _tone("FLAC", "PCM_16"), _tone("FLAC", "PCM_16", 2),
                      _tone("MP3", "MPEG_LAYER_III"), _tone("OGG", "VORBIS", 2),
                      _tone("OGG", "OPUS"), _tone("AIFF", "PCM_16"),
                      *_read("tests/audio_cases/chained.ogg",
                             "tests/audio_cases/flac_without_length.flac")]

    def try_out(self, data, folder):
        del folder
        _check_audio(self._audio.load(data, 16_000, max_secs=600))


class _Instruments:
    """SFZ files with two samples that play four notes."""

    mutate = staticmethod(mutated_text)
    seeds = (b"""<control> default_path=s/ note_offset=0
<curve> curve_index=7 v000=0 v063=0.5 v127=1
<global> ampeg_release=0.4 volume=-3 amp_veltrack=80
<group> lovel=1 hivel=80 xfin_lovel=1 xfin_hivel=20
<region> sample=a.wav lokey=21 hikey=60 pitch_keycenter=57 tune=-5 loop_mode=loop_continuous
<region> sample=a.wav lokey=61 hikey=108 pitch_keycenter=c#4 offset=100 end=4000 loop_start=500
<group> lovel=81 hivel=127 seq_length=2 seq_position=1 off_by=1 group=1
<region> sample=b.wav key=60 transpose=1 pan=20 cutoff=900 fil_type=lpf_2p
<region> trigger=release sample=b.wav lokey=21 hikey=108 rt_decay=6 delay=0.01 locc64=0 hicc64=63
""",)

    def __init__(self):
        from note_seq.protobuf import music_pb2

        from style_transfer.pipelines.rendering import sfz

        self._renderer = sfz.SfzRenderer
        self._samples = {"a.wav": _tone("WAV", "PCM_16"), "b.wav": _tone("WAV", "PCM_16", 2)}
        self._piece = music_pb2.NoteSequence(total_time=0.5)
        for pitch, velocity in ((40, 60), (60, 100), (72, 30), (90, 127)):
            self._piece.notes.add(pitch=pitch, velocity=velocity, start_time=0.1, end_time=0.3)

    def try_out(self, data, folder):
        (folder / "s").mkdir()
        for name, sample in self._samples.items():
            (folder / "s" / name).write_bytes(sample)
        path = folder / "piano.sfz"
        path.write_bytes(data)
        renderer = self._renderer(path)
        _check_audio(renderer.render(self._piece, RATE))
        renderer.remarks()


class _Pianos:
    """`.piano` files."""

    def __init__(self):
        import numpy as np

        from style_transfer.models.piano_ddsp.piano import Piano

        self._load = Piano.load
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a.piano")
            Piano(style=np.zeros(8, np.float32), f0_hz=np.linspace(27, 4186, 88, dtype=np.float32),
                  inharmonicity=np.full(88, 3e-4, np.float32), loudness_db=-20.0,
                  noise_floor_db=np.full(9, -80, np.float32), corrections={
                      "room": np.zeros(6, np.float32)}).save(path)
            self.seeds = [path.read_bytes()]

    def mutate(self, data, rng):
        return (mutated if rng.random() < 0.3 else _mutated_zip)(data, rng)

    def try_out(self, data, folder):
        path = folder / "a.piano"
        path.write_bytes(data)
        self._load(path)


class _Weights:
    """Folders of weights, their config or their arrays damaged; and `.npz` checkpoints."""

    def __init__(self):
        import numpy as np

        from style_transfer import weights
        from style_transfer.checkpoints import reader

        self._load, self._read = weights.load, reader.read
        there = pathlib.Path(weights.__file__).parent / "timbre_metric"
        self._parts = {name: (there / name).read_bytes()
                       for name in (weights.CONFIG_FILE, weights.WEIGHTS_FILE)}
        arrays = io.BytesIO()
        np.savez(arrays, **{"a/kernel": np.ones((3, 4), np.float32), "global_step": np.int64(7)})
        self._parts["a.npz"] = arrays.getvalue()
        self._load(there)  # so that no input pays for what is imported
        self.seeds = list(self._parts)

    def mutate(self, name, rng):
        data = self._parts[name]
        if name == "a.npz":
            return name, _mutated_zip(data, rng)
        return name, (mutated_text if name.endswith(".json") else mutated)(data, rng)

    def try_out(self, made, folder):
        name, data = made
        for other, whole in self._parts.items():
            (folder / other).write_bytes(data if other == name else whole)
        if name == "a.npz":
            self._read(folder / name)
        else:
            self._load(folder)


class _Requests:
    """Bodies of REST requests, through the server's own handlers."""

    def __init__(self):
        import base64

        from style_transfer.serving.server.limits import Limits
        from style_transfer.serving.server.models import Models
        from style_transfer.serving.server.run import Server
        from tests.serving import stand_in

        clip, notes = (base64.b64encode(data).decode()
                       for data in (stand_in.wav_file(), stand_in.sequence()))
        instance = {"style_bytes": {"b64": clip}, "content_bytes": {"b64": notes}}
        self.seeds = [json.dumps(body).encode() for body in (
            {"instances": [instance]}, {"inputs": {name: [value] for name, value in
                                                   instance.items()}},
            {"signature_name": "double", "instances": [{"x": [1, 2.5], "n": 3}]},
            {"signature_name": "encode_style", "inputs": [{"b64": clip}]})]
        self._clip = clip.encode()
        limits = Limits()
        self._server = Server(Models([stand_in.StandIn().served(limits)]), limits, rest_port=0,
                              grpc_port=0)
        self._server.start()
        for body in self.seeds:  # so that no input pays for what is traced
            self.try_out(body, None)

    def mutate(self, data, rng):
        import base64

        if rng.random() < 0.4:  # the clip within, so that the rest is understood
            clip = base64.b64encode(mutated(base64.b64decode(self._clip), rng))
            return data.replace(self._clip, clip)
        return mutated_text(data, rng)

    def try_out(self, data, folder):
        from tests.serving import http_calls

        del folder
        status, answer = http_calls.predict(self._server, data)
        if status == 200:
            return
        if status >= 500 or not isinstance(answer, dict) or "error" not in answer:
            raise UnsoundError(f"status {status}: {answer!r}")
        raise _RefusedError(answer["error"])


class _RefusedError(ValueError):
    """What a server says of a request."""


KINDS = {"midi": _midi, "sequence": _sequences, "score": _scores, "audio": _Recordings,
         "sfz": _Instruments, "piano": _Pianos, "request": _Requests, "checkpoint": _Weights}


@functools.cache
def _kind(name):
    return KINDS[name]()


def made(kind, seed, number):
    """The input of a number: what `try_out` of its kind takes."""
    rng = random.Random(f"{kind} {seed} {number}")
    tried = _kind(kind)
    return tried.mutate(rng.choice(tried.seeds), rng)


class Trial:
    """Tries one input; where it has been unpickled, all that is slow to import is there.

    Args:
        kind: One of `KINDS`.
        seed: Of all inputs.
    """

    def __init__(self, kind, seed):
        self.kind, self.seed = kind, seed

    def __setstate__(self, state):
        self.__dict__.update(state)
        _cli.prepare_environment()
        _kind(self.kind)

    def __call__(self, number):
        """The `Outcome` of the input of a number."""
        data, tried = made(self.kind, self.seed, number), _kind(self.kind)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            _cli.prepare_environment()
            before, begun = _resident(reset=True), time.process_time()
            verdict, message = _judged(lambda: tried.try_out(data, pathlib.Path(folder)))
            secs, peak = time.process_time() - begun, _resident()
            for warning in said:
                if fault := _fault_of_warning(warning):
                    verdict, message = "fault", fault
        return Outcome(verdict, message.replace(folder, ""), secs, max(0, peak - before))


def _judged(call):
    try:
        call()
    except (ValueError, OSError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        message = str(error)
        if not _is_ours(where.filename):
            return "fault", f"{_described(error)} of {where.filename}:{where.lineno}"
        if problem := _problem(message):
            return "fault", f"{problem}: {message[:300]!r}"
        return "refused", message
    except Exception as error:
        where = next(frame for frame in reversed(traceback.extract_tb(error.__traceback__))
                     if _is_ours(frame.filename))
        return "fault", (f"{_described(error)}, at "
                         f"{pathlib.Path(where.filename).name}:{where.lineno}")
    return "accepted", ""


def _described(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def _is_ours(path):
    return pathlib.Path(path).resolve().is_relative_to(ROOT) and "site-packages" not in path


def _problem(message):
    """What is wrong with a message, None if it is a sentence."""
    if not message.strip():
        return "an empty message"
    if "\n" in message or "\r" in message:
        return "a message of several lines"
    if len(message) > _LONGEST_MESSAGE:
        return "a long message"
    return None if message.rstrip().endswith((".", "?")) else "no sentence"


def _fault_of_warning(warning):
    if not _is_ours(warning.filename):
        return None if issubclass(warning.category, DeprecationWarning) else (
            f"{warning.category.__name__}: {warning.message}")
    if warning.category is not UserWarning:
        return f"{warning.category.__name__}: {warning.message}, at {warning.filename}"
    return _problem(str(warning.message))


def _resident(reset=False):
    """Most memory of this process since it was reset, bytes; 0 where Linux does not say."""
    try:
        if reset:
            pathlib.Path("/proc/self/clear_refs").write_text("5")
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10
    except OSError:
        return 0


def run(kind, numbers, seed, num_workers=None):
    """Tries inputs of one kind in processes of their own.

    Args:
        kind: One of `KINDS`.
        numbers: Which inputs.
        seed: Of all inputs.
        num_workers: See `isolated_workers.run`.

    Yields:
        `(number, Outcome)`.
    """
    tried = isolated_workers.run(Trial(kind, seed), numbers, num_workers, MAX_SECS, MAX_BYTES)
    for number, outcome in zip(numbers, tried, strict=True):
        if isinstance(outcome, isolated_workers.Failure):
            outcome = Outcome("fault", f"{outcome.reason} ({outcome.detail})", 0.0, 0)
        yield number, outcome


def _main(argv):
    del argv
    total = sum(SHARES[kind] for kind in _KINDS.value)
    rows, faults = [], collections.defaultdict(list)
    for kind in _KINDS.value:
        numbers = list(range(_FIRST.value, _FIRST.value + max(
            1, _NUM_INPUTS.value * SHARES[kind] // total)))
        counts, secs, peak, until = collections.Counter(), 0.0, 0, None
        for number, outcome in run(kind, numbers, _SEED.value, _NUM_WORKERS.value):
            counts[outcome.verdict] += 1
            secs, peak = max(secs, outcome.secs), max(peak, outcome.peak_bytes)
            if outcome.verdict == "fault":
                faults[kind, re.sub(r"\d+", "N", outcome.said)].append((number, outcome.said))
                if _KEEP.value:
                    _keep(kind, number)
            until = until or time.monotonic() + _SECS.value  # imports do not count
            if time.monotonic() > until:
                break
        rows.append((kind, sum(counts.values()), counts["accepted"], counts["refused"],
                     counts["fault"], f"{secs:.2f}", f"{peak / 2**20:.0f}"))
        print(f"{rows[-1]}", file=sys.stderr, flush=True)
    for (kind, _), found in faults.items():
        print(f"{kind}: {len(found)} times, first number {found[0][0]}: {found[0][1]}")
    print("\n| kind | inputs | accepted | refused | faults | worst secs | worst MB |\n"
          "|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    if faults:
        sys.exit("There are faults.")


def _keep(kind, number):
    data = made(kind, _SEED.value, number)
    name, data = data if isinstance(data, tuple) else (kind, data)
    folder = pathlib.Path(_KEEP.value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}-{number}-{pathlib.Path(name).name}").write_bytes(data)


if __name__ == "__main__":
    _NUM_INPUTS = flags.DEFINE_integer("num_inputs", 10_000, "Inputs of all kinds.", 1)
    _SEED = flags.DEFINE_integer("seed", 0, "Of all inputs.")
    _FIRST = flags.DEFINE_integer("first", 0, "Number of the first input of each kind.")
    _KINDS = flags.DEFINE_list("kinds", list(KINDS), "Which kinds.")
    _SECS = flags.DEFINE_float("max_secs", 3600, "Seconds for each kind, then the next begins.")
    _NUM_WORKERS = flags.DEFINE_integer("num_workers", None, "Processes; one a core by default.")
    _KEEP = flags.DEFINE_string("keep", "", "Folder that gets the inputs with faults.")
    app.run(_main)
