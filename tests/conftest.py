"""One backend, quiet logs, fixed random numbers and quick graphs for every test."""

import gc
import os
import pathlib
import random
import shutil
import sys

# Before anything imports Keras or TensorFlow. JAX or another backend may be asked for from outside.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Workers share the cores: each with as many threads as there are cores would wait for the others.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    _THREADS = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    for _name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, str(_THREADS))

import numpy as np
import pytest

SEED = 20_240_601
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Leaves graphs as they are: optimizing them takes longer than running them in tests.

    Processes that tests start, the notebook's kernel among them, have TensorFlow's defaults.
    """
    if "tensorflow" in sys.modules:
        optimizer = sys.modules["tensorflow"].config.optimizer
        # Setting it anew would make TensorFlow forget what it has compiled.
        if not optimizer.get_experimental_options().get("disable_meta_optimizer"):
            optimizer.set_experimental_options({"disable_meta_optimizer": True})
            # Both wrap every single op to shorten tracebacks.
            sys.modules["tensorflow"].debugging.disable_traceback_filtering()
            _share_kernels_of_variables()
            _keep_kernels()
            if "keras" in sys.modules:
                sys.modules["keras"].config.disable_traceback_filtering()
            # What is imported stays; looking through it again and again takes a twentieth of a run.
            gc.freeze()
            gc.set_threshold(100_000, 50, 50)


def _share_kernels_of_variables():
    """Makes a variable in half the time: TensorFlow keeps a kernel for each name of debugging."""
    from tensorflow.python.ops import gen_resource_variable_ops as ops

    made = ops.var_handle_op
    ops.var_handle_op = lambda *args, debug_name="", **kwargs: made(*args, **kwargs)


def _keep_kernels():
    """Seeds without making every kernel again, a sixth of a test's time.

    Only ops that keep a state of their own need that, as `tf.random.normal`; there is none here.
    """
    from tensorflow.python.eager import context

    def set_global_seed(self, seed):
        self._seed, self._rng = seed, random.Random(seed)

    context.Context._set_global_seed = set_global_seed


@pytest.fixture(scope="module", autouse=True)
def forgotten_kernels():
    """What a file's tests compiled is no other's, and would take memory to the end."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.eager import context

        context.context().clear_kernel_cache()


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for a test whether it runs alone or after others."""
    random.seed(SEED)
    np.random.seed(SEED)
    # Importing Keras takes ten seconds, so it is seeded only where a test has imported it.
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(SEED)


@pytest.fixture(scope="session")
def small_limits():
    """What a server of a test may be asked for."""
    from style_transfer.serving.server.limits import Limits

    return Limits(body_bytes=1 << 20, batch_size=4, clip_secs=30.0, content_secs=60.0, notes=500,
                  adapt_steps=10, workers=2, queue=2, read_secs=2.0, compute_secs=20.0)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, which plays sound without a click before."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as running:
        if path is None and not pathlib.Path(running.chromium.executable_path).exists():
            pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}, as scripts/test does")
        made = running.chromium.launch(
            executable_path=path, args=[
                "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream"])
        yield made
        made.close()
