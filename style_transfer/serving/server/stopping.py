"""Giving up work whose client has gone, while it runs."""

import threading

from style_transfer.serving.errors import CancelledRequestError


class Stop:
    """Whether a request's work shall end; one for each request."""

    def __init__(self):
        self._set, self._lock = threading.Event(), threading.Lock()
        self._manager = None

    def set(self):
        """Ends the work: a graph between two of its ops, anything else where it checks."""
        with self._lock:
            self._set.set()
            manager = self._manager
        if manager is not None:
            manager.start_cancel()

    def check(self, *_):
        """Raises CancelledRequestError if the work shall end; fit to be told of progress."""
        if self._set.is_set():
            raise CancelledRequestError("The client has gone.")

    def run(self, function, **tensors):
        """`function(**tensors)` of a TensorFlow function, which `set` ends.

        Raises:
            CancelledRequestError: It was ended.
        """
        import tensorflow as tf
        from tensorflow.python.eager import cancellation

        with self._lock:
            self.check()
            self._manager = cancellation.CancellationManager()
        try:
            with cancellation.CancellationManagerContext(self._manager):
                return function(**tensors)
        except tf.errors.CancelledError as error:
            self.check()
            raise error
        finally:
            with self._lock:
                self._manager = None
