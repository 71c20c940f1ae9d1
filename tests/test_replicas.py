"""What replicas do together; `tests/training/test_families.py` trains on several."""

import numpy as np
import pytest

from style_transfer import replicas


def test_alone_a_batch_is_all_there_is():
    x = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    assert (replicas.count(), replicas.place()) == (1, 0)
    for same in (replicas.total, replicas.mean, replicas.whole, replicas.own):
        assert same(x) is x
    mean, variance = replicas.moments(x, (0,))
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(variance, x.var(0), rtol=1e-6)


def test_replicas_that_xla_keeps_apart_cannot_exchange_anything(monkeypatch):
    monkeypatch.setattr(replicas, "_context", lambda: object())
    with replicas.apart(), pytest.raises(replicas.ApartError):
        replicas.total(np.ones(2))
    with replicas.apart():
        monkeypatch.undo()
        assert replicas.total(3) == 3
