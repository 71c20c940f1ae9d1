"""One long run that several files look at."""

import pytest

from tests.training import tiny_runs


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """A folder, all that the tiny configuration asks of its examples."""
    return str(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory, examples):
    """A run of 12 steps with everything on, and its model."""
    run_dir = str(tmp_path_factory.mktemp("runs") / "whole")
    lines = []
    model = tiny_runs.run(run_dir, examples, 12, tiny_runs.averaged(), report=lines.append)
    return run_dir, model, lines


@pytest.fixture(scope="module")
def unused_ports():
    """Two, for the workers of a cluster."""
    import socket

    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
