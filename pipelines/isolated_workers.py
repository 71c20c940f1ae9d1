"""Runs a function on many items in processes that may hang, run out of memory or die.

`multiprocessing.Pool` waits for ever for a worker that was killed, and
`concurrent.futures` gives up all work when one dies. Here a worker that fails costs its one item.
"""

import collections
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from typing import Any

from style_transfer import processes

_ITEMS_PER_TASK = 16  # so that a worker never waits for the parent between items
_MAX_ITEMS_AHEAD = 512  # bounds the results that are held back for an earlier, slower item
_START_SECS = 60.0  # a process may import its libraries for this long


@dataclasses.dataclass(frozen=True)
class Failure:
    """An item without a result.

    Attributes:
        reason: A short phrase for counting.
        detail: More about this item.
    """

    reason: str
    detail: str = ""


def run(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    num_workers: int | None = None,
    max_secs: float = 60.0,
    max_bytes: int = 2 << 30,
) -> Generator[Any, None, None]:
    """Yields `function(item)` of every item in order, or a `Failure`.

    Args:
        function: Can be pickled. An exception becomes a `Failure` with its attributes `reason` and
            `detail` where it has them.
        items: What to run it on.
        num_workers: Processes; by default as many as there are CPU cores for this one.
        max_secs: Longest time for one item, seconds; its process is then killed.
        max_bytes: Memory a process may take beyond what it has when it starts, where the
            operating system can limit that.
    """
    num_workers = num_workers or num_cores()
    if num_workers < 1 or max_secs <= 0 or max_bytes <= 0:
        raise ValueError(
            "Worker count, time and memory must be positive, got "
            f"{num_workers}, {max_secs} s and {max_bytes} bytes."
        )
    return _Batch(function, items, num_workers, max_secs, max_bytes).outcomes()


def num_cores() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux can tell which cores this process may use
        return os.cpu_count() or 1


class _Worker:
    """One process, the items it has been given and the time by which it must answer."""

    def __init__(self, context, function, max_bytes):
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, function, max_bytes), daemon=True
        )
        self.process.start()
        theirs.close()
        self.pending = collections.deque()
        self.deadline = None
        self.grace_secs = _START_SECS

    def give(self, places, items, max_secs):
        self.connection.send(items)
        self.pending.extend(places)
        self.renew(max_secs)

    def renew(self, max_secs):
        self.deadline = time.monotonic() + max_secs + self.grace_secs

    def stop(self):
        self.connection.close()
        self.process.kill()
        self.process.join()


class _Batch:
    def __init__(self, function, items, num_workers, max_secs, max_bytes):
        self._items = items
        self._num_workers = min(num_workers, len(items))
        self._max_secs = max_secs
        self._max_bytes = max_bytes
        self._function = function
        self._context = multiprocessing.get_context("spawn")  # forking with threads may deadlock
        self._workers = []
        self._todo = collections.deque(range(len(items)))
        self._done = {}
        self._next = 0

    def outcomes(self):
        try:
            while self._next < len(self._items):
                while self._next not in self._done:
                    self._start_workers()
                    self._hand_out()
                    self._collect()
                yield self._done.pop(self._next)
                self._next += 1
        finally:
            for worker in self._workers:
                worker.stop()

    def _start_workers(self):
        busy = sum(bool(worker.pending) for worker in self._workers)
        while len(self._workers) < min(self._num_workers, busy + len(self._todo)):
            self._workers.append(_Worker(self._context, self._function, self._max_bytes))

    def _hand_out(self):
        for worker in list(self._workers):
            if worker.pending:
                continue
            share = -(-len(self._todo) // self._num_workers)  # the last items are spread evenly
            places = []
            while (
                self._todo
                and len(places) < min(share, _ITEMS_PER_TASK)
                and self._todo[0] < self._next + _MAX_ITEMS_AHEAD
            ):
                places.append(self._todo.popleft())
            if not places:
                continue
            try:
                worker.give(places, [self._items[i] for i in places], self._max_secs)
            except OSError:  # it died while it had nothing to do
                self._todo.extendleft(reversed(places))
                self._remove(worker)

    def _collect(self):
        busy = [worker for worker in self._workers if worker.pending]
        if not busy:
            return
        patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
        ready = multiprocessing.connection.wait([w.connection for w in busy], patience)
        now = time.monotonic()
        for worker in busy:
            if worker.connection in ready:
                self._receive(worker)
            elif worker.deadline < now:
                self._give_up(worker, Failure("took too long", f"over {self._max_secs:g} s"))

    def _receive(self, worker):
        try:
            outcome = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode
            if worker.grace_secs:
                raise RuntimeError(
                    f"A worker process could not start (exit status {code})."
                ) from None
            self._give_up(worker, Failure("killed its process", f"exit status {code}"))
            return
        if outcome == _READY:
            worker.grace_secs = 0.0
        else:
            (self._done[worker.pending.popleft()],) = outcome
        worker.renew(self._max_secs)

    def _give_up(self, worker, failure):
        """Blames the first unanswered item and gives the others back."""
        self._done[worker.pending.popleft()] = failure
        self._todo.extendleft(reversed(worker.pending))
        self._remove(worker)

    def _remove(self, worker):
        worker.stop()
        self._workers.remove(worker)


_READY = "ready"  # what a worker sends when it has started


def _serve(connection, function, max_bytes):
    """A worker process: answers items until the connection closes."""
    warnings.simplefilter("ignore")  # libraries warn about what the batch's summary says
    processes.end_with_parent()
    _limit_memory(max_bytes)
    try:
        connection.send(_READY)
        while True:
            for item in connection.recv():
                connection.send((_outcome(function, item),))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _outcome(function, item):
    try:
        return function(item)
    except MemoryError:
        return Failure("needs too much memory")
    except Exception as error:
        described = f"{type(error).__name__}: {error}"
        return Failure(
            getattr(error, "reason", "could not be read"), getattr(error, "detail", described)
        )


def _limit_memory(max_bytes):
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + max_bytes, hard))
    except (ImportError, OSError, ValueError):
        return  # not Linux: the limits on what is read must do
