"""The benchmarks fit the code that they measure."""

import importlib
import pathlib

import pytest
from absl import flags

from benchmarks import generation

NAMES = sorted(path.stem for path in pathlib.Path(generation.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_is_imported_and_says_what_it_measures(name):
    assert importlib.import_module(f"benchmarks.{name}").__doc__
    # Those would be flags of every command of the same process.
    assert f"benchmarks.{name}" not in flags.FLAGS.flags_by_module_dict()


def test_what_is_put_under_the_clock_is_there():
    for _, owner, name in generation.watched():
        assert callable(getattr(owner, name)), name
