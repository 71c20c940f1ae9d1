import keras
import numpy as np
import pytest
from scipy import stats

from style_transfer.models.onsets_frames.loss import TranscriptionLoss, velocity_surprise
from tests import model_case

SHIFT = 0.1
HEADS = ("onset", "offset", "frame", "key", "velocity", "pedal")

LOSS = TranscriptionLoss(velocity_loss_weight=1.0, velocity_shift=SHIFT)


def batch(seed=0, frames=7):
    rng = np.random.default_rng(seed)
    shapes = {name: (3, frames, 1 if name == "pedal" else 88) for name in HEADS}
    y = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    logits = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    logits["velocity_scale"] = rng.uniform(0.05, 0.3, (3, frames, 88)).astype(np.float32)
    return y, logits


def gaussian_surprise(error, scale, shift):
    """Nats a note of one clip, by the whole covariance matrix."""
    covariance = np.diag(scale ** 2) + shift ** 2
    nats = stats.multivariate_normal(np.zeros(len(error)), covariance).logpdf(error)
    return -nats / len(error)


def numpy_terms(y, logits):
    terms = {}
    for name in HEADS:
        if name == "velocity":
            terms[name] = np.array(velocity_surprise(
                y["velocity"] - logits["velocity"], logits["velocity_scale"], y["onset"] / 2,
                SHIFT))
            continue
        probability = 1 / (1 + np.exp(-logits[name].astype(np.float64)))
        entropy = -y[name] * np.log(probability) - (1 - y[name]) * np.log(1 - probability)
        terms[name] = entropy.mean(axis=(1, 2))
    return terms


def test_terms_follow_their_formulas():
    y, logits = batch()
    found = LOSS.terms(y, logits)
    expected = numpy_terms(y, logits)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


def test_loss_is_the_weighted_sum_and_a_mean_over_clips():
    y, logits = batch()
    terms = numpy_terms(y, logits)
    loss = TranscriptionLoss(onset_loss_weight=10.0, pedal_loss_weight=0.0,
                             velocity_loss_weight=1.0, velocity_shift=SHIFT)
    weighted = sum({"onset": 10, "pedal": 0}.get(n, 1) * v for n, v in terms.items())
    np.testing.assert_allclose(loss.call(y, logits), weighted, rtol=1e-5)
    assert float(loss(y, logits)) == pytest.approx(weighted.mean(), rel=1e-5)


def test_frames_beyond_the_recording_do_not_count():
    y, logits = batch()
    mask = np.ones((3, 7, 1), np.float32)
    mask[1, 4:] = 0
    found = LOSS.terms({**y, "mask": mask}, logits)
    expected = numpy_terms(y, logits)
    cut = numpy_terms(*({n: v[:, :4] for n, v in part.items()} for part in (y, logits)))
    for name in HEADS:
        np.testing.assert_allclose(found[name], [expected[name][0], cut[name][1],
                                                 expected[name][2]], rtol=1e-5)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
def test_velocities_are_as_surprising_as_the_gaussian_that_they_are_taken_for(shift):
    rng = np.random.default_rng(1)
    error, scale = rng.normal(0, 0.1, (2, 3, 88)), rng.uniform(0.05, 0.2, (2, 3, 88))
    weight = (rng.random((2, 3, 88)) < 0.1).astype(float)
    found = velocity_surprise(error, scale, weight, shift)
    for clip in range(2):
        heard = weight[clip] > 0
        expected = gaussian_surprise(error[clip][heard], scale[clip][heard], shift)
        assert float(found[clip]) == pytest.approx(expected, rel=1e-4)


def test_a_shift_that_all_velocities_share_costs_little():
    error = np.random.default_rng(2).normal(0, 0.03, (1, 10, 88))
    scale, weight = np.full(error.shape, 0.03), np.ones(error.shape)
    shifted, mixed = error + 0.2, error + 0.2 * np.sign(error)
    cost = [float(velocity_surprise(e, scale, weight, 0.12)[0]) for e in (error, shifted, mixed)]
    assert cost[1] < cost[0] + 0.01 < cost[2] - 5


def test_a_clip_without_notes_has_no_surprise():
    zeros = np.zeros((2, 3, 88), np.float32)
    assert np.all(np.array(velocity_surprise(zeros + 1, zeros + 0.1, zeros, 0.1)) == 0)


def test_targets_that_are_not_of_a_head_are_ignored():
    y, logits = batch()
    loss = TranscriptionLoss()
    assert float(loss({**y, "notes": np.zeros((3, 9, 5), np.float32)}, logits)) == float(
        loss(y, logits))


def test_missing_targets_and_unknown_outputs_are_errors():
    y, logits = batch()
    with pytest.raises(ValueError, match=r"no target for \['key'\]"):
        LOSS.terms({n: v for n, v in y.items() if n != "key"}, logits)
    with pytest.raises(ValueError, match=r"no loss for \['drums'\]"):
        LOSS.terms(y, {**logits, "drums": logits["frame"]})


def test_settings_survive_a_record():
    loss = TranscriptionLoss(onset_loss_weight=3.0, velocity_loss_weight=0.5, velocity_shift=0.2)
    copy = TranscriptionLoss.from_config(loss.get_config())
    assert copy.loss_weights == loss.loss_weights and copy.velocity_shift == 0.2
    assert keras.saving.get_registered_object("style_transfer>TranscriptionLoss")


def test_the_loss_keeps_its_arguments():
    rng = np.random.default_rng(0)
    names = ("onset", "offset", "frame", "key", "velocity", "pedal")
    shapes = {name: (2, 4, 1 if name == "pedal" else 88) for name in names}
    model_case.check_loss(
        TranscriptionLoss, {},
        {name: rng.uniform(size=shape).astype(np.float32) for name, shape in shapes.items()},
        {**{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
         "velocity_scale": rng.uniform(0.1, 0.2, shapes["velocity"]).astype(np.float32)},
        {**{f"{name}_loss_weight": 2.0 for name in names}, "velocity_shift": 0.2})
