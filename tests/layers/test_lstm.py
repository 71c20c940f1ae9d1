import numpy as np
from keras import initializers

from style_transfer.layers.lstm import BidirectionalLstm, Lstm
from tests import model_case

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def test_lstm(tmp_path):
    model_case.check_layer(
        Lstm, {"units": 4}, (X,), [(2, 5, 4), [(2, 4), (2, 4)]],
        {"units": 6, "reverse": True, "kernel_initializer": initializers.Constant(0.1),
         "chrono_steps": 9}, tmp_path)


def test_bidirectional_lstm(tmp_path):
    model_case.check_layer(BidirectionalLstm, {"units": 4}, (X,), [(2, 5, 8), (2, 8)],
                           {"units": 6, "chrono_steps": 9}, tmp_path)


def test_units_with_chrono_biases_remember_over_one_to_all_steps():
    lstm = Lstm(3, chrono_steps=102)
    lstm.build((None, None, 1))
    lstm.kernel.assign(0 * lstm.kernel)
    state = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    _, (_, memory) = lstm(np.zeros((1, 1, 1), np.float32), state=state)
    # A unit that remembers over n steps keeps n / (n + 1) of its memory in each.
    np.testing.assert_allclose(memory[0], [1 / 2, 51 / 52, 101 / 102], rtol=1e-5)
