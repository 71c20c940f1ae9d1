"""A worker process of Beam's DirectRunner that says what our own code says, and nothing of Beam's.

    python -m style_transfer.pipelines.beam_worker

Beam's own program writes its log to stderr, with names and levels, and sends it to the process that
started it, which writes it once more.
"""

import logging
import sys

COMMAND = f"{sys.executable} -m style_transfer.pipelines.beam_worker"
OURS = "style_transfer"


def show_progress():
    """Shows what our code logs as plain lines on stderr, in this process alone."""
    logger = logging.getLogger(OURS)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def main():
    """Runs Beam's worker; its command line and environment are Beam's."""
    # With a handler on the root `logging` adds none of its own. Beam sends its log to its parent.
    logging.getLogger().addHandler(logging.NullHandler())
    show_progress()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
