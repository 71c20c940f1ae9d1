import keras
import numpy as np
import pytest

from style_transfer.models.onsets_frames.loss import TranscriptionLoss
from tests import model_case

HEADS = ("onset", "offset", "frame", "key", "velocity", "pedal")


def batch(seed=0, frames=7):
    rng = np.random.default_rng(seed)
    shapes = {name: (3, frames, 1 if name == "pedal" else 88) for name in HEADS}
    y = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    logits = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return y, logits


def numpy_terms(y, logits):
    terms = {}
    for name in HEADS:
        if name == "velocity":
            error = y["onset"] * (y["velocity"] - logits["velocity"]) ** 2
            terms[name] = error.sum(axis=-1).mean(axis=-1)
            continue
        probability = 1 / (1 + np.exp(-logits[name].astype(np.float64)))
        entropy = -y[name] * np.log(probability) - (1 - y[name]) * np.log(1 - probability)
        terms[name] = entropy.mean(axis=(1, 2))
    return terms


def test_terms_follow_their_formulas():
    y, logits = batch()
    found = TranscriptionLoss().terms(y, logits)
    expected = numpy_terms(y, logits)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


def test_loss_is_the_weighted_sum_and_a_mean_over_clips():
    y, logits = batch()
    terms = numpy_terms(y, logits)
    loss = TranscriptionLoss(onset_loss_weight=10.0, pedal_loss_weight=0.0)
    weighted = sum({"onset": 10, "pedal": 0}.get(n, 1) * v for n, v in terms.items())
    np.testing.assert_allclose(loss.call(y, logits), weighted, rtol=1e-5)
    assert float(loss(y, logits)) == pytest.approx(weighted.mean(), rel=1e-5)


def test_frames_beyond_the_recording_do_not_count():
    y, logits = batch()
    mask = np.ones((3, 7, 1), np.float32)
    mask[1, 4:] = 0
    found = TranscriptionLoss().terms({**y, "mask": mask}, logits)
    expected = numpy_terms(y, logits)
    cut = numpy_terms(*({n: v[:, :4] for n, v in part.items()} for part in (y, logits)))
    for name in HEADS:
        np.testing.assert_allclose(found[name], [expected[name][0], cut[name][1],
                                                 expected[name][2]], rtol=1e-5)


def test_targets_that_are_not_of_a_head_are_ignored():
    y, logits = batch()
    loss = TranscriptionLoss()
    assert float(loss({**y, "notes": np.zeros((3, 9, 5), np.float32)}, logits)) == float(
        loss(y, logits))


def test_missing_targets_and_unknown_outputs_are_errors():
    y, logits = batch()
    with pytest.raises(ValueError, match=r"no target for \['key'\]"):
        TranscriptionLoss().terms({n: v for n, v in y.items() if n != "key"}, logits)
    with pytest.raises(ValueError, match=r"no loss for \['drums'\]"):
        TranscriptionLoss().terms(y, {**logits, "drums": logits["frame"]})


def test_settings_survive_a_record():
    loss = TranscriptionLoss(onset_loss_weight=3.0, velocity_loss_weight=0.5)
    copy = TranscriptionLoss.from_config(loss.get_config())
    assert copy.loss_weights == loss.loss_weights
    assert keras.saving.get_registered_object("style_transfer>TranscriptionLoss")


def test_the_loss_keeps_its_arguments():
    rng = np.random.default_rng(0)
    names = ("onset", "offset", "frame", "key", "velocity", "pedal")
    shapes = {name: (2, 4, 1 if name == "pedal" else 88) for name in names}
    model_case.check_loss(
        TranscriptionLoss, {},
        {name: rng.uniform(size=shape).astype(np.float32) for name, shape in shapes.items()},
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
        {f"{name}_loss_weight": 2.0 for name in names})
