"""Load on the embedded server, over loopback only: requests per second, latencies, memory.

    python -m benchmarks.serving                      # everything, some ten minutes
    python -m benchmarks.serving --cases=grpc:play --requests=0

The server runs in a process of its own, with the package's weights or what --export_dir names;
clients are threads here. Each case is asked by 1, 4 and 16 clients, each as soon as it is
answered. Beside it stands the same work done by the library in this process, one at a time: what
is more is the server. Memory is the server's, before, halfway and after so many `play`s.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np

CLIENTS = (1, 4, 16)
WARM_REQUESTS = 10
CASES = ("grpc:play", "rest:play", "grpc:encode_style", "grpc:serving_default", "grpc:transcribe",
         "rest:transcribe", "grpc:wavenet")
# Cases of other models than piano_ddsp; the WaveNet plays a piece in its serving_default.
MODELS = {"transcribe": "onsets_frames_small", "wavenet": "midi2wave_small"}
RECORDING_SECS = 5.0
SUSTAIN = 0.65  # the library's default
QUEUE = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--export_dir", help="of piano_ddsp; leaves the cases of other models out")
    parser.add_argument("--cases", default=",".join(CASES), help="protocol:signature, by commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each number of clients")
    parser.add_argument("--requests", type=int, default=1000,
                        help="over which memory is watched; 0 for not")
    parser.add_argument("--piece_secs", type=float, default=2.0)
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, {platform.machine()}, Python "
          f"{platform.python_version()}; load before: {os.getloadavg()[0]:.1f}")
    process, ports = start_server(options.export_dir)
    results = {}
    try:
        jobs = Jobs(options)
        for case in options.cases.split(","):
            protocol, _, signature = case.partition(":")
            if signature in MODELS and options.export_dir:
                continue
            results[case] = run_case(jobs, protocol, signature, ports, options.seconds)
        if options.requests:
            ask = jobs.asker("grpc", "play", ports)
            results["memory"] = memory(ask, options.requests, process.pid)
            print(f"memory: {describe(results['memory'])}")
        print(json.dumps(results))
    finally:
        process.terminate()
        process.wait(60)


def run_case(jobs, protocol, signature, ports, seconds):
    """Prints and returns the figures of one case."""
    ask, alone = jobs.asker(protocol, signature, ports), jobs.alone(signature)
    for _ in range(WARM_REQUESTS):
        ask()
    alone()
    limit = load(alone, 1, seconds / 2)
    results = {"library": limit}
    print(f"{protocol} {signature}\n     library: {describe(limit)}", flush=True)
    for clients in CLIENTS:
        found = results[f"{clients} clients"] = load(ask, clients, seconds)
        found["of_library"] = round(found["requests_per_sec"] / limit["requests_per_sec"], 2)
        print(f"{clients:>3} clients: {describe(found)}", flush=True)
    return results


def start_server(export_dir):
    """A server process on free ports, and those."""
    command = [sys.executable,
               "-m", "style_transfer.scripts.style_transfer_serve", "--port=0", "--rest_port=0",
               f"--queue={QUEUE}"]
    command += [f"--export_dir={export_dir}"] if export_dir else [
        f"--weights={','.join(['piano_ddsp', *MODELS.values()])}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ports = {}
    for line in process.stdout:
        print(f"server: {line}", end="", flush=True)
        kind, _, address = line.strip().partition(" on ")
        if address:
            ports[kind.lower()] = int(address.rpartition(":")[2])
        if line.startswith("serving"):
            return process, ports
    raise SystemExit("The server did not start.")


class Jobs:
    """The same work, asked of the server or done here.

    Args:
        options: The command's.
    """

    def __init__(self, options):
        import style_transfer
        from style_transfer import audio, weights
        from style_transfer.serving.export import warm_up_inputs

        self._name = (pathlib.Path(options.export_dir).resolve().name if options.export_dir
                      else "piano_ddsp")
        self._style, _ = warm_up_inputs()
        self._content = piece(options.piece_secs)
        self._clip = audio.load(self._style)
        self._model = style_transfer.load()
        self._transfer = style_transfer.transfer
        self._estimate = style_transfer.estimate_piano
        self._piano = self._estimate(self._clip, adapt_steps=0, model=self._model)
        self._recording = self._transfer(piece(RECORDING_SECS), self._piano, model=self._model,
                                         sample_rate=16_000)
        self._transcribe = style_transfer.transcribe
        self._transcriber = weights.load(MODELS["transcribe"])
        self._wavenet = weights.load(MODELS["wavenet"])

    def asker(self, protocol, signature, ports):
        """A function that makes one request."""
        from style_transfer.serving.client import Retries, connect

        client = connect(protocol, f"127.0.0.1:{ports[protocol]}", retries=Retries(0),
                         deadline_secs=300, model=MODELS.get(signature, self._name))
        if signature == "wavenet":
            return lambda: client.generate(self._content, sustain_temperature=SUSTAIN)
        if signature == "transcribe":
            with tempfile.TemporaryDirectory() as folder:
                data = self._wav(pathlib.Path(folder) / "recording.wav")
            return lambda: client.transcribe(data)
        inputs = {"style_bytes": [self._style]}
        if signature == "serving_default":
            inputs["content_bytes"] = [self._content]
        elif signature == "play":
            inputs = {**client.predict("encode_style", inputs), "content_bytes": [self._content]}
        return lambda: client.predict(signature, inputs)

    def alone(self, signature):
        """A function that does the same with the library."""
        estimate, model = self._estimate, self._model
        return {
            "play": lambda: self._transfer(self._content, self._piano, model=model),
            "encode_style": lambda: estimate(self._clip, adapt_steps=0, model=model,
                                             transcribe_style=False),
            "serving_default": lambda: self._transfer(self._content, self._clip, model=model,
                                                      adapt_steps=0, transcribe_style=False),
            "transcribe": lambda: self._transcribe(self._recording, self._transcriber),
            "wavenet": self._sampled,
        }[signature]

    def _sampled(self):
        from style_transfer.models.wavenet import generate, options

        return generate.played(self._wavenet, self._content, None, options.Options,
                               self._wavenet.sample_rate)

    def _wav(self, path):
        from style_transfer import audio

        audio.save(path, self._recording)
        return path.read_bytes()


def piece(secs):
    """A serialized NoteSequence, eight notes a second."""
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence()
    rng = np.random.default_rng(0)
    for start in np.arange(0, secs, 0.125):
        sequence.notes.add(pitch=int(rng.integers(40, 80)), velocity=80, start_time=start,
                           end_time=start + 0.4)
    return sequence.SerializeToString()


def load(ask, clients, seconds):
    """Latencies of so many clients that each ask again as soon as they are answered."""
    until = time.monotonic() + seconds

    def one_client(_):
        latencies, failures = [], 0
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                ask()
                latencies.append(time.monotonic() - begun)
            except ValueError:
                failures += 1
        return latencies, failures

    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(one_client, range(clients)))
    took = time.monotonic() - begun
    latencies = np.concatenate([part for part, _ in found])
    return {"requests_per_sec": round(len(latencies) / took, 2),
            "p50_secs": round(float(np.quantile(latencies, 0.5)), 3),
            "p99_secs": round(float(np.quantile(latencies, 0.99)), 3),
            "failures": sum(count for _, count in found)}


def memory(ask, requests, pid):
    """Resident MB of the server before, halfway and after."""
    marks = {}
    for i in range(requests + 1):
        if i in (0, requests // 2, requests):
            marks[i] = round(resident_mb(pid), 1)
        if i < requests:
            ask()
    return {f"MB after {count}": value for count, value in marks.items()}


def resident_mb(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def describe(result):
    return ", ".join(f"{value} {name}" for name, value in result.items())


if __name__ == "__main__":
    main()
