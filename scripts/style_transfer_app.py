"""Serves a web page to play pieces on the pianos of recordings: drop two files, press Play.

It works without a network. Only this machine reaches it, unless --host says otherwise.
"""

import os
import signal
import threading
import time

from absl import flags

from style_transfer.scripts import _cli, _flags

FLAGS = flags.FLAGS
LOOPBACK = ("127.0.0.1", "::1", "localhost")
SWEEP_SECS = 30.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_flags.group("Network")
flags.DEFINE_string("host", "127.0.0.1", "Address to listen on. Anything but loopback lets others "
                    "in, whoever they are.")
flags.DEFINE_integer("port", 8080, "Port; 0 takes any free one.", lower_bound=0, upper_bound=65535)
_flags.define_list("allowed_hosts", [], "Names, besides IP addresses and localhost, under which "
                   "browsers may reach the page.")
flags.DEFINE_bool("open_browser", False, "Open the page in a browser.")
_flags.group("Models")
flags.DEFINE_string("weights", None, "A name in the package, a folder of weights or the run_dir of "
                    "a training; by default the package's.")
flags.DEFINE_string("transcriber", None, "Weights of the transcriber: a name in the package or a "
                    "folder; by default the package's.")
_flags.group("Limits")
flags.DEFINE_integer("queue", 4, "Jobs that may wait; the next is refused.", lower_bound=0)
flags.DEFINE_integer("max_body_mb", 64, "Largest file, MiB.", lower_bound=1, upper_bound=1024)
flags.DEFINE_float("max_clip_secs", 600.0, "Longest recording of a piano, seconds.",
                   lower_bound=2.0)
flags.DEFINE_float("max_content_secs", 600.0, "Longest piece, seconds.", lower_bound=1.0)
flags.DEFINE_integer("max_notes", 30_000, "Most notes of a piece.", lower_bound=1)
flags.DEFINE_integer("max_adapt_steps", 400, "Most gradient steps of a fit that the page may "
                     "ask for.", lower_bound=1)
flags.DEFINE_integer("max_results", 12, "Results kept; older ones are deleted.", lower_bound=2)
flags.DEFINE_float("keep_mins", 60.0, "How long results and files are kept unused, minutes.",
                   lower_bound=0.1)


def main(argv):
    """Loads the models, serves the page until SIGINT or SIGTERM, deletes what was made."""
    if len(argv) > 1:
        raise ValueError(f"Unexpected argument {argv[1]!r}; see --help.")
    if FLAGS.max_results <= FLAGS.queue:
        raise ValueError("--max_results must be greater than --queue.")
    from absl import logging

    from style_transfer.serving.server import http

    http.check_port(FLAGS.host, FLAGS.port, "page")
    _flags.report(f"loading {FLAGS.weights or 'piano_ddsp'} and the transcriber")
    logging.set_verbosity(logging.ERROR)
    from style_transfer.models.piano_ddsp import one_shot
    from style_transfer.scripts import _methods
    from style_transfer.serving.app import api, service, settings
    from style_transfer.transcription import transcriber

    begun = time.monotonic()
    limits = settings.AppLimits(
        body_bytes=FLAGS.max_body_mb << 20, clip_secs=FLAGS.max_clip_secs,
        content_secs=FLAGS.max_content_secs, notes=FLAGS.max_notes,
        adapt_steps=FLAGS.max_adapt_steps, queue=FLAGS.queue, results=FLAGS.max_results,
        keep_secs=60 * FLAGS.keep_mins)
    model = one_shot.load(FLAGS.weights)
    served = service.Service(model, limits, transcriber.load(FLAGS.transcriber),
                             _methods.offered())
    try:
        _serve(http.HttpThread(api.make_app(served, FLAGS.allowed_hosts), FLAGS.host, FLAGS.port,
                               "page"), served, begun)
    finally:
        ended = served.close()
    if not ended:
        os._exit(1)  # threads cannot be stopped
    print("stopped", flush=True)


def _serve(http, served, begun):
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    http.start()
    host = f"[{FLAGS.host}]" if ":" in FLAGS.host else FLAGS.host
    address = f"http://{host}:{http.port}/"
    print(f"open {address} ({time.monotonic() - begun:.1f} s); Ctrl-C stops", flush=True)
    if FLAGS.host not in LOOPBACK:
        print(f"warning: anyone who reaches {FLAGS.host} can use this page and this machine's "
              "time", flush=True)
    if FLAGS.open_browser:
        import webbrowser

        webbrowser.open(address)
    while not stop.wait(SWEEP_SECS):
        served.sweep()
    http.stop(force=True)


def run():
    """Console entry point."""
    _cli.run(main)


if __name__ == "__main__":
    run()
