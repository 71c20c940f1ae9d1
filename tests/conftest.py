"""One backend, quiet logs and fixed random numbers for every test."""

import os
import random
import sys

# Before anything imports Keras or TensorFlow. JAX or another backend may be asked for from outside.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest

SEED = 20_240_601


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
def graphs_as_they_are():
    """Optimizing the graphs takes longer than running them in tests."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
