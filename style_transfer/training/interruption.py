"""What ends a training from outside: signals, and workers that are lost."""

import contextlib
import signal
import threading

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingStopped(KeyboardInterrupt):  # noqa: N818 - it is no error
    """Training was asked to stop, and did so with a checkpoint.

    Attributes:
        exit_status: Of a program that ends by it, 128 more than the signal's number.
    """

    def __init__(self, message, number):
        super().__init__(message)
        self.exit_status = 128 + number


class WorkerLostError(ValueError):
    """Another worker of a training ended or cannot be reached."""


class Requests:
    """What the process has been asked for.

    Attributes:
        signal: Number of the signal that asks training to stop; 0 for none.
    """

    signal = 0

    @contextlib.contextmanager
    def heeded(self):
        """Within, the first of `SIGNALS` only asks; a second one acts as it did before.

        Python takes handlers in its main thread only: elsewhere nothing is heeded.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def ask(number, frame):
            self.signal = number
            restore()

        def restore():
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in SIGNALS:
            signal.signal(number, ask)
        try:
            yield
        finally:
            restore()
