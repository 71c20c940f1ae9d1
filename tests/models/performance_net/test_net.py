import keras
import numpy as np
import pytest

from style_transfer.models.performance_net import playing
from style_transfer.models.performance_net.layers import BandResidual, Fusion
from style_transfer.models.performance_net.loss import SpectrogramLoss
from style_transfer.models.performance_net.net import PerformanceNet
from style_transfer.models.performance_net.probe import UsageProbe
from style_transfer.signal import log_mel
from tests import model_case
from tests.pipelines import tiny_pairs

TINY = {"channels": (8, 10), "kernel_size": 3, "style_size": 4, "texture_bands": (2, 4),
        "texture_channels": 4}
KINDS = {"vector": {}, "spectrogram": {"style": "spectrogram", "texture_style": False}}


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    keras.utils.set_random_seed(0)
    model = PerformanceNet(**{**TINY, **KINDS[request.param]})
    model.build(None)
    return model


def inputs(key=40, seed=1):
    roll = np.zeros((1, 64, 176), "f")
    roll[:, 8, key] = roll[:, 8:, 88 + key] = 0.8
    clip = np.random.default_rng(seed).normal(0, 0.05, (1, 32_000)).astype("f")
    return {"roll": roll, "style_audio": np.cumsum(clip, axis=1) if seed > 1 else clip}


def test_roll_and_clip_are_heard(model):
    drawn = np.asarray(model(inputs()))
    assert drawn.shape == (1, 16, log_mel.NUM_BANDS)
    assert np.array_equal(drawn, model(inputs()))
    assert not np.allclose(drawn, model(inputs(key=41)), atol=1e-3)
    assert not np.allclose(drawn, model(inputs(seed=2)), atol=1e-3)


def test_parts_of_any_size_give_what_the_whole_gives(model, monkeypatch):
    table = tiny_pairs.table(1.5, seed=3, step_secs=0.2)
    style = np.asarray(model.encode_style(inputs()["style_audio"]))
    whole = playing.log_mel_of(model, table, 401, style)
    assert whole.shape == (101, log_mel.NUM_BANDS)
    monkeypatch.setattr(playing, "PART_GRAINS", 3)
    np.testing.assert_allclose(playing.log_mel_of(model, table, 401, style), whole, atol=1e-4)


def test_reach_is_as_far_as_a_note_is_heard_and_not_twice_as_far():
    keras.utils.set_random_seed(0)
    model = PerformanceNet(**TINY)
    silent = np.zeros((1, 512, 176), "f")
    struck = silent.copy()
    struck[0, 256, 40] = 1.0
    style = np.ones((1, 4), "f")
    change = np.abs(np.asarray(model({"roll": struck, "style": style}))
                    - np.asarray(model({"roll": silent, "style": style})))[0].max(axis=1)
    heard = 4 * np.flatnonzero(change > 0)
    assert 256 - model.reach <= heard.min() and heard.max() <= 256 + model.reach
    assert heard.max() - heard.min() > model.reach


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_keeps_its_arguments_and_trains(tmp_path, kind):
    changes = {"channels": (6, 6), "blocks_per_level": 2, "kernel_size": 5, "expansion": 1,
               "normalization": "none", "style_size": 3, "separator_size": 0,
               "texture_bands": (5,), "texture_channels": 3, "texture_blocks": 2,
               "texture_style": kind != "vector",
               "style": "spectrogram" if kind == "vector" else "vector"}
    model_case.check_model(PerformanceNet, {**TINY, **KINDS[kind]}, inputs(),
                           (1, 16, log_mel.NUM_BANDS), changes, tmp_path)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="style='clip' is unknown; choose one of vector, spec"):
        PerformanceNet(style="clip")
    with pytest.raises(ValueError, match=r"texture_bands=\(3,\): each must divide the 160"):
        PerformanceNet(texture_bands=(3,))


def test_layers_keep_their_arguments_and_train(tmp_path):
    rng = np.random.default_rng(0)
    content, style = rng.normal(size=(2, 5, 6)).astype("f"), rng.normal(size=(2, 3)).astype("f")
    model_case.check_layer(Fusion, {"width": 4}, (content, style), (2, 5, 4),
                           {"width": 5, "separator_size": 0}, tmp_path)
    model_case.check_layer(BandResidual, {"num_bands": 2, "channels": 3}, ([content, content],),
                           (2, 5, 6), {"num_bands": 3, "channels": 4, "num_blocks": 2}, tmp_path)


def test_bands_have_weights_of_their_own():
    layer = BandResidual(2, 4)
    known = np.random.default_rng(0).normal(size=(1, 5, 3)).astype("f")
    drawn = np.ones((1, 5, 6), "f")
    before = np.asarray(layer([drawn, known]))
    drawn[..., :3] += 1  # the lower band alone
    change = np.abs(np.asarray(layer([drawn, known])) - before)
    assert change[..., :3].max() > 0.1 and change[..., 3:].max() == 0


def test_the_loss_is_the_mean_difference_and_that_of_changes():
    y_true, y_pred = np.zeros((2, 4, 3), "f"), np.ones((2, 4, 3), "f")
    y_pred[1, 2:] = 3.0
    loss = SpectrogramLoss(delta_weight=0.5)
    np.testing.assert_allclose(loss.call(y_true, y_pred), [1.0, 2.0 + 0.5 * 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(loss.terms(y_true, y_pred)["log_mel_db"],
                               8.685889 * np.array([1.0, 2.0]), rtol=1e-5)
    model_case.check_loss(SpectrogramLoss, {}, y_true, y_pred, {"delta_weight": 1.0})


class Told(keras.Model):
    """Draws what it is told: the roll's mean, or the clip's."""

    def __init__(self, name_of_input):
        super().__init__()
        self.name_of_input = name_of_input

    def call(self, x):
        mean = keras.ops.mean(x[self.name_of_input], axis=1)
        return keras.ops.repeat(mean[:, None, :1], 2, axis=1)


@pytest.mark.parametrize(("heard", "deaf"), [("roll", "style"), ("style_audio", "content")])
def test_the_probe_tells_what_is_used(heard, deaf):
    values = np.arange(4, dtype="f")
    x = {"roll": np.tile(values[:, None, None], (1, 8, 176)),
         "style_audio": np.tile(values[:, None, None], (1, 100, 1)),
         "piece": np.arange(4), "timbre": np.arange(4)}
    probe = UsageProbe(Told(heard), SpectrogramLoss())
    probe.update(x, np.tile(values[:, None, None], (1, 2, 1)))
    gains = probe.result()
    assert gains.pop(f"{deaf}_gain_db") == pytest.approx(0, abs=1e-5)
    assert min(gains.values()) > 5
