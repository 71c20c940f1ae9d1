"""Back-pressure: a bounded number of requests in the house, few of them computed at once."""

import concurrent.futures
import contextlib
import threading
import time

from style_transfer.serving.errors import OverloadedError, UnavailableError


class Gate:
    """Admits requests, runs them in threads, and lets those inside finish when it closes.

    Args:
        workers: Requests computed at the same time.
        queue: Requests that may wait besides.
    """

    def __init__(self, workers, queue):
        self.capacity = workers + queue
        self._inside, self._open = 0, True
        self._changed = threading.Condition()
        self._executor = concurrent.futures.ThreadPoolExecutor(workers, "predict")

    @property
    def inside(self):
        """Requests waiting or computed."""
        return self._inside

    @property
    def is_open(self):
        """Whether requests are admitted at all."""
        return self._open

    def check(self):
        """Raises what `admitted` would raise now."""
        if not self._open:
            raise UnavailableError("The server is shutting down.")
        if self._inside >= self.capacity:
            raise OverloadedError(f"All {self.capacity} places of the queue are taken; try again "
                                  "later.")

    @contextlib.contextmanager
    def admitted(self):
        """Holds one place, for a request that has arrived whole.

        Raises:
            OverloadedError: All places are taken.
            UnavailableError: The gate is closed.
        """
        with self._changed:
            self.check()
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    def submit(self, function, *args):
        """A future of `function(*args)`; cancelling it helps as long as it waits."""
        try:
            return self._executor.submit(function, *args)
        except RuntimeError as error:
            raise UnavailableError("The server is shutting down.") from error

    def keep_place_until_done(self, future):
        """Holds another place until `future` is done: its client has gone, its work has not."""
        with self._changed:
            self._inside += 1
        future.add_done_callback(lambda _: self._leave())

    def close(self, timeout_secs):
        """Admits nothing more and waits for those inside.

        Args:
            timeout_secs: How long to wait.

        Returns:
            Whether all finished.
        """
        until = time.monotonic() + timeout_secs
        with self._changed:
            self._open = False
            while self._inside and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            finished = not self._inside
        self._executor.shutdown(wait=finished, cancel_futures=True)
        return finished

    def _leave(self):
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()
