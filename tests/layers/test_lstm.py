import numpy as np
from keras import initializers

from style_transfer.layers.lstm import BidirectionalLstm, Lstm
from tests import model_case

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def test_lstm(tmp_path):
    model_case.check_layer(
        Lstm, {"units": 4}, (X,), [(2, 5, 4), [(2, 4), (2, 4)]],
        {"units": 6, "reverse": True, "kernel_initializer": initializers.Constant(0.1)}, tmp_path)


def test_bidirectional_lstm(tmp_path):
    model_case.check_layer(BidirectionalLstm, {"units": 4}, (X,), [(2, 5, 8), (2, 8)],
                           {"units": 6}, tmp_path)
