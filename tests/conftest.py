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
