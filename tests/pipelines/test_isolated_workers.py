"""Workers that hang, die or run out of memory cost the batch one item each."""

import sys
import time

import pytest

from style_transfer.pipelines import isolated_workers
from style_transfer.pipelines.isolated_workers import Failure


def run(items, **settings):
    return list(isolated_workers.run(eval, items, **settings))  # `eval` needs no module to import


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_come_in_order(num_workers):
    items = [f"__import__('time').sleep({0.05 if i % 7 == 0 else 0}) or {i}" for i in range(60)]
    assert run(items, num_workers=num_workers) == list(range(60))


def test_a_dead_worker_costs_only_its_item():
    items = ["1", "__import__('os')._exit(3)", "2", "__import__('os').abort()", "3"]
    outcomes = run(items, num_workers=1)
    assert outcomes[::2] == [1, 2, 3]
    assert outcomes[1] == Failure("killed its process", "exit status 3")
    assert outcomes[3].reason == "killed its process"


def test_a_hanging_worker_is_killed_in_time():
    start = time.monotonic()
    outcomes = run(["1", "__import__('time').sleep(600)", "2"], num_workers=1, max_secs=1.0)
    assert outcomes == [1, Failure("took too long", "over 1 s"), 2]
    assert time.monotonic() - start < 60


@pytest.mark.skipif(sys.platform != "linux", reason="memory of a process is limited on Linux")
def test_memory_is_bounded():
    outcomes = run(["1", "len(bytearray(1 << 31))", "2"], num_workers=1, max_bytes=1 << 28)
    assert outcomes == [1, Failure("needs too much memory"), 2]


def test_an_exception_becomes_its_description():
    assert run(["1 / 0", "1"], num_workers=1) == [
        Failure("could not be read", "ZeroDivisionError: division by zero"),
        1,
    ]


def test_no_items_need_no_worker():
    assert run([]) == []


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="must be positive"):
        run(["1"], max_secs=0)
