import numpy as np
import pytest

from style_transfer.layers.convnext import ConvNeXtBlock
from tests import model_case


def test_the_block_keeps_its_arguments_and_trains(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 9, 6)).astype("f")
    model_case.check_layer(
        ConvNeXtBlock, {"width": 6, "hidden": 8, "kernel_size": 3}, (x,), (2, 9, 6),
        {"width": 5, "hidden": 7, "kernel_size": 5, "scale": 0.2, "normalization": "none"},
        tmp_path)


def test_an_output_depends_on_its_neighbours_within_the_kernel_alone():
    block = ConvNeXtBlock(4, 8, kernel_size=5)
    x = np.random.default_rng(0).normal(size=(1, 20, 4)).astype("f")
    other = x.copy()
    other[0, 10] += 1
    changed = np.abs(np.asarray(block(x)) - np.asarray(block(other))).max(axis=(0, 2)) > 1e-6
    assert np.flatnonzero(changed).tolist() == [8, 9, 10, 11, 12]


def test_without_normalization_the_scale_of_the_input_counts():
    x = np.random.default_rng(0).normal(size=(1, 9, 4)).astype("f")
    for name, is_same in (("layer", True), ("none", False)):
        block = ConvNeXtBlock(4, 8, normalization=name)
        added = [np.asarray(block(gain * x)) - gain * x for gain in (1.0, 10.0)]
        assert np.allclose(*added, atol=1e-4) == is_same
    with pytest.raises(ValueError, match="'batch' is unknown; choose one of layer, none"):
        ConvNeXtBlock(4, 8, normalization="batch")
