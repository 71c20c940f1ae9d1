"""Serves models over REST and gRPC, as TensorFlow Serving does, without Docker.

Without --export_dir the weights of the package are served: by default piano_ddsp, and
onsets_frames_small too with --weights=piano_ddsp,onsets_frames_small.
"""

import os
import signal
import threading
import time

from absl import flags

from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS
TOKEN_VARIABLE = "STYLE_TRANSFER_TOKEN"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_flags.group("Models")
_flags.define_list("export_dir", None, "A model's base folder, written by style_transfer_export; "
                   "its newest version is served.")
_flags.define_list("weights", None, "Instead of --export_dir: a name in the package, a folder "
                   "of weights or a training's run_dir.")
flags.DEFINE_string("config", None, "The configuration of --weights, package.module:ATTRIBUTE for "
                    "one of your own; by default the one that they are of.")
flags.DEFINE_bool("cache", True, "Keep the graphs of --weights for the next start, which then "
                  "takes a fraction of the time: in $STYLE_TRANSFER_CACHE or the user's folder of "
                  "caches.")
flags.DEFINE_string("model_name", None, "The model's name in requests; by default the name of "
                    "--export_dir or, in the package, of the weights, else of the configuration.")
_flags.group("Network")
flags.DEFINE_string("host", "127.0.0.1", "Address to listen on. Anything but loopback lets others "
                    "in: set a token then.")
flags.DEFINE_integer("grpc_port", 8500, "Port of gRPC; 0 takes any free one, -1 is none.",
                     lower_bound=-1, upper_bound=65535)
flags.DEFINE_integer("rest_port", 8501, "Port of REST; 0 takes any free one, -1 is none.",
                     lower_bound=-1, upper_bound=65535)
flags.DEFINE_string("token_file", None, "File with a bearer token that every request must carry; "
                    f"by default the environment's {TOKEN_VARIABLE}, if it is set.")
_flags.group("Limits")
flags.DEFINE_integer("workers", 1, "Requests computed at the same time.", lower_bound=1)
flags.DEFINE_integer("queue", 16, "Requests that may wait; the next is refused with 429.",
                     lower_bound=0)
flags.DEFINE_integer("max_body_mb", 64, "Largest request, MiB.", lower_bound=1, upper_bound=1024)
flags.DEFINE_integer("max_batch", 8, "Most items of a request.", lower_bound=1)
flags.DEFINE_float("max_clip_secs", 600.0, "Longest style clip, seconds.", lower_bound=2.0)
flags.DEFINE_float("max_content_secs", 1200.0, "Longest piece, seconds.", lower_bound=1.0)
flags.DEFINE_integer("max_notes", 30_000, "Most notes of a piece.", lower_bound=1)
flags.DEFINE_integer("max_adapt_steps", 400, "Most gradient steps of an adaptation that a request "
                     "may ask for.", lower_bound=1)
flags.DEFINE_float("shutdown_secs", 60.0, "How long requests under way may take to finish when the "
                   "server is told to stop.", lower_bound=0.0)


def main(argv):
    """Loads the model, serves until SIGINT or SIGTERM, finishes what was begun."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; see --help.")
    if FLAGS.export_dir and FLAGS.weights:
        raise ValueError("Give --export_dir or --weights, not both.")
    if FLAGS.model_name and len(FLAGS.export_dir or FLAGS.weights or ()) > 1:
        raise ValueError("--model_name names one model; several have their folders' names.")
    if FLAGS.grpc_port == FLAGS.rest_port == -1:
        raise ValueError("Both --grpc_port and --rest_port are -1: there is nothing to listen on.")
    if FLAGS.grpc_port == FLAGS.rest_port and FLAGS.grpc_port > 0:
        raise ValueError(f"--grpc_port and --rest_port are both {FLAGS.grpc_port}; they must "
                         "differ.")
    token = _token()
    from absl import logging

    from style_transfer.serving.server import http

    for port, what, flag in ((FLAGS.rest_port, "REST", "--rest_port"),
                             (FLAGS.grpc_port, "gRPC", "--grpc_port")):
        if port > 0:
            http.check_port(FLAGS.host, port, what, flag)
    names = FLAGS.weights or [None]
    configs = [] if FLAGS.export_dir else _configs(names)
    _flags.report(f"loading {', '.join(FLAGS.export_dir or FLAGS.weights or ['piano_ddsp'])}")
    logging.set_verbosity(logging.ERROR)  # TensorFlow warns of gradients, which serving has not
    from style_transfer.serving.server import limits as limits_lib
    from style_transfer.serving.server import models as models_lib
    from style_transfer.serving.server import run as run_lib

    limits = limits_lib.Limits(
        body_bytes=FLAGS.max_body_mb * limits_lib.MEBIBYTE, batch_size=FLAGS.max_batch,
        clip_secs=FLAGS.max_clip_secs, content_secs=FLAGS.max_content_secs,
        notes=FLAGS.max_notes, adapt_steps=FLAGS.max_adapt_steps, workers=FLAGS.workers,
        queue=FLAGS.queue)
    begun = time.monotonic()
    if FLAGS.export_dir:
        served = [model for folder in FLAGS.export_dir
                  for model in models_lib.from_export(folder, limits, FLAGS.model_name)]
    else:
        served = [_from_weights(name, config, limits)
                  for name, config in zip(names, configs, strict=True)]
    for model in served:
        _flags.report(f"warming up {model.name}")
        model.warm_up()
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    server = run_lib.Server(models_lib.Models(served), limits, FLAGS.host,
                            _port(FLAGS.rest_port), _port(FLAGS.grpc_port), token)
    server.start()
    for kind, port in (("REST", server.rest_port), ("gRPC", server.grpc_port)):
        if port is not None:
            print(f"{kind} on {FLAGS.host}:{port}", flush=True)
    print(f"serving {', '.join(f'{m.name} version {m.version}' for m in served)} "
          f"({time.monotonic() - begun:.1f} s); Ctrl-C stops", flush=True)
    if token is None and FLAGS.host not in ("127.0.0.1", "::1", "localhost"):
        print(f"warning: anyone who reaches {FLAGS.host} is served; set a token with "
              f"--token_file or {TOKEN_VARIABLE}", flush=True)
    stop.wait()
    print("finishing what was begun", flush=True)
    if not server.stop(FLAGS.shutdown_secs):
        print(f"gave up on requests that took longer than {FLAGS.shutdown_secs:g} s", flush=True)
        os._exit(1)  # their threads cannot be stopped
    print("stopped", flush=True)


def _configs(names):
    from style_transfer import configs

    if FLAGS.config and len(names) > 1:
        raise ValueError("--config is of one model; several have those of their weights.")
    found = [configs.get(FLAGS.config) if FLAGS.config else configs.of_weights(name)
             for name in names]
    return [config.require("serving") for config in found]


def _from_weights(name, config, limits):
    from style_transfer import weights
    from style_transfer.serving.server import models as models_lib

    served_name = FLAGS.model_name or (name if name in weights.names() else config.name)
    return models_lib.from_weights(served_name, config, name, limits, _flags.report, FLAGS.cache)


def _port(number):
    return None if number == -1 else number


def _token():
    if FLAGS.token_file:
        with open(FLAGS.token_file, encoding="utf-8") as file:
            token = file.read().strip()
        if not token:
            raise ValueError(f"{FLAGS.token_file} holds no token.")
        return token
    return os.environ.get(TOKEN_VARIABLE) or None


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
