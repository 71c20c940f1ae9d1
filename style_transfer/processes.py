"""Worker processes that end when the process that started them ends, however that ends.

A killed parent cannot stop its workers, and `multiprocessing` leaves them behind: those of
`concurrent.futures` go on with what they were given, then wait for ever, since they hold both ends
of their queue.
"""

import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import threading

_PARENT_IS_GONE = 1  # exit status that nobody reads


def end_with_parent():
    """Makes this process, started by `multiprocessing`, end as soon as its parent has ended.

    Nothing is finished or cleaned up: what it was writing is left as by a kill.

    Raises:
        ValueError: `multiprocessing` has not started this process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise ValueError("This process has no parent that can be watched: expected one that "
                         "multiprocessing has started; call it in a worker.")
    threading.Thread(target=_watch, args=(parent.sentinel,), name="end_with_parent",
                     daemon=True).start()


def pool(num_workers):
    """A `concurrent.futures.ProcessPoolExecutor` whose processes end with this one.

    They are spawned, not forked: TensorFlow, threads and locks do not survive a fork.

    Args:
        num_workers: How many processes.
    """
    return concurrent.futures.ProcessPoolExecutor(
        num_workers, multiprocessing.get_context("spawn"), initializer=end_with_parent)


def _watch(sentinel):
    multiprocessing.connection.wait([sentinel])
    os._exit(_PARENT_IS_GONE)
