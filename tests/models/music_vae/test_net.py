import keras
import numpy as np
import pytest
from keras import ops

from style_transfer import weights
from style_transfer.models.music_vae import net as music_vae
from style_transfer.models.music_vae.net import MusicVae
from style_transfer.models.music_vae.sequence_decoder import CategoricalDecoder, Conductor
from style_transfer.symbolic.loss import MusicVaeLoss
from style_transfer.training.trainer import FittedModel
from tests import model_case

TINY = {"max_seq_len": 8, "z_size": 3, "enc_rnn_size": (4, 4), "dec_rnn_size": (5, 4),
        "input_depth": 6, "output_depths": (6,)}
HIERARCHICAL = {"level_lengths": (4, 2), "output_depths": (2, 4)}
TOLD = {**HIERARCHICAL, "conductor_rnn_size": (3,), "conductor_input_size": 2}
SEGMENTED = {"enc_segments": 4}


def tiny(**arguments):
    keras.utils.set_random_seed(0)
    model = MusicVae(**{**TINY, **arguments})
    model.build(None)
    for variable in model.trainable_variables:  # the initial ones leave z without effect
        variable.assign(keras.random.normal(variable.shape, stddev=0.7))
    return model


def sequences(count=3, depths=(6,), seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([np.eye(depth, dtype=np.float32)[rng.integers(depth, size=(count, 8))]
                           for depth in depths], axis=-1)


def batch(**arguments):
    x = sequences(**arguments)
    y = {"outputs": x, "lengths": np.full(len(x), 8, np.int32)}
    return {"inputs": x, **y}, y


def test_first_weights_are_those_of_the_seed_and_no_two_kernels_have_the_same():
    def first():
        keras.utils.set_random_seed(0)
        model = MusicVae(**TINY)
        model.build(None)
        return model

    one, other = first(), first()
    for found, expected in zip(other.weights, one.weights, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=found.path)
    assert np.abs(one.mu.kernel - one.sigma.kernel).min() > 0


@pytest.mark.parametrize("arguments", [{}, {**TOLD, **SEGMENTED, "chrono_bias": True}])
def test_saved_weights_with_config_give_the_same_outputs(tmp_path, arguments):
    model = tiny(**arguments)
    weights.write_config(tmp_path, model, "tiny")
    model.save_weights(tmp_path / weights.WEIGHTS_FILE)
    loaded = weights.load(tmp_path)
    assert loaded.get_config() == model.get_config()
    x = batch()[0]
    np.testing.assert_array_equal(model(x)["logits"], loaded(x)["logits"])


@pytest.mark.parametrize("arguments", [{}, HIERARCHICAL, TOLD])
def test_what_was_drawn_written_with_itself_as_truth_has_the_same_logits(arguments):
    model, z = tiny(**arguments), np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    drawn, logits = model.sample(z, seed=1, return_logits=True)
    np.testing.assert_allclose(model.decode(ops.convert_to_tensor(z), drawn), logits, atol=1e-5)


@pytest.mark.parametrize("arguments", [{}, HIERARCHICAL])
def test_every_track_of_a_drawn_step_has_one_class(arguments):
    model = tiny(**arguments)
    drawn = np.asarray(model.sample(np.zeros((2, 3), np.float32), seed=0))
    assert drawn.shape == (2, 8, 6)
    first = 0
    for depth in model.output_depths:
        np.testing.assert_array_equal(drawn[..., first:first + depth].sum(axis=-1), 1)
        first += depth


def test_a_seed_gives_one_result_and_temperature_0_needs_none():
    model, z = tiny(), np.ones((4, 3), np.float32)
    once, again, other = (np.asarray(model.sample(z, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    likeliest = [np.asarray(model.sample(z, temperature=0, seed=seed)) for seed in (1, 2)]
    np.testing.assert_array_equal(*likeliest)


def test_a_step_is_not_told_itself_nor_what_follows():
    model, x = tiny(), sequences()
    changed = x.copy()
    changed[:, 4] = np.roll(changed[:, 4], 1, axis=-1)
    z = ops.zeros((3, 3))
    before, after = np.asarray(model.decode(z, x)), np.asarray(model.decode(z, changed))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any()


def test_segments_hear_of_each_other_only_the_step_before_them():
    model, x = tiny(**HIERARCHICAL), sequences(depths=(2, 4))
    changed = x.copy()
    changed[:, 2] = np.roll(changed[:, 2], 1, axis=-1)  # the first step of the second segment
    z = ops.zeros((3, 3))
    before, after = np.asarray(model.decode(z, x)), np.asarray(model.decode(z, changed))
    is_same = (before == after).all(axis=(0, 2))
    np.testing.assert_array_equal(is_same, [True, True, True, False, True, True, True, True])


def test_scheduled_sampling_goes_from_the_truth_to_itself():
    model, x = tiny(), sequences(count=30)
    z = ops.zeros((30, 3))
    truth = np.asarray(model.decode(z, x))
    np.testing.assert_allclose(model.decode(z, x, 0.0), truth, atol=1e-5)
    own = np.asarray(model.decode(z, x, 1.0))
    np.testing.assert_allclose(own[:, 0], truth[:, 0], atol=1e-5)
    changes = [np.mean(np.abs(np.asarray(model.decode(z, x, rate)) - truth)[:, 1:].max(-1) > 1e-4)
               for rate in (0.3, 1.0)]
    assert 0 < changes[0] < changes[1]


def test_schedules_are_magentas():
    steps, rate = np.array([0, 500, 7000]), 1000.0
    found = [float(music_vae.sampling_probability(s, "inverse_sigmoid", rate)) for s in steps]
    np.testing.assert_allclose(found, 1 - rate / (rate + np.exp(steps / rate)), rtol=1e-4)
    assert float(music_vae.sampling_probability(3, "exponential", 0.9)) == pytest.approx(1 - 0.729)
    assert float(music_vae.sampling_probability(3, "constant", 0.25)) == 0.25
    assert float(music_vae.kl_weight(0, 0.2, 0.99)) == 0
    assert float(music_vae.kl_weight(100, 0.2, 0.99)) == pytest.approx(0.2 * (1 - 0.99 ** 100))
    assert float(music_vae.kl_weight(5, 0.2, 0.0)) == pytest.approx(0.2)


def test_slerp_keeps_ends_and_length_and_goes_evenly():
    first, last = np.array([2.0, 0, 0], np.float32), np.array([0, 2.0, 0], np.float32)
    found = np.asarray(music_vae.slerp(first, last, np.array([0, 1 / 3, 1], np.float32)))
    np.testing.assert_allclose(found[[0, 2]], [first, last], atol=1e-6)
    np.testing.assert_allclose(found[1], [2 * np.cos(np.pi / 6), 1, 0], atol=1e-6)
    same = np.asarray(music_vae.slerp(first, first, np.array([0.5], np.float32)))
    np.testing.assert_allclose(same, [first], atol=1e-6)


@pytest.mark.parametrize("arguments", [{}, SEGMENTED])
def test_padding_after_a_sequence_does_not_change_its_latent_vector(arguments):
    model, x = tiny(**arguments), sequences()
    noise, zeros = (np.concatenate([x[:, :5], np.full_like(x[:, 5:], value)], axis=1)
                    for value in (7.0, 0.0))
    lengths = np.array([5, 5, 5])
    short = model.encode(zeros, lengths) if arguments else model.encode(x[:, :5])
    for padded, expected in zip(model.encode(noise, lengths), short, strict=True):
        np.testing.assert_allclose(padded, expected, atol=1e-6)


def test_a_segmented_encoder_reads_each_segment_by_itself():
    model, x = tiny(**SEGMENTED), sequences()
    first, second = model.encoder
    read = [second(first(x[:, at:at + 2])[0])[1] for at in (0, 2, 4, 6)]
    np.testing.assert_allclose(model.encode(x)[0], model.mu(ops.concatenate(read, -1)), atol=1e-6)


def test_a_conductor_with_inputs_tells_each_segment_of_z_without_memory():
    def embeddings(**arguments):
        conductor = tiny(**HIERARCHICAL, **arguments).conductor
        for weight in (*conductor.initial_state.weights,
                       *(lstm.recurrent_kernel for lstm in conductor.lstms)):
            weight.assign(0 * weight)
        return np.asarray(conductor(np.eye(3, dtype=np.float32)))

    told, untold = embeddings(conductor_input_size=2), embeddings()
    assert np.ptp(untold, axis=0).max() < 1e-6
    assert np.ptp(told, axis=0).min() > 1e-4


def test_training_counts_steps_lowers_the_loss_and_evaluation_leaves_them():
    keras.utils.set_random_seed(0)
    model = MusicVae(**TINY, sampling_schedule="inverse_sigmoid", sampling_rate=1000.0)
    model.build(None)
    x, y = batch(count=8)
    fitted = FittedModel(model, MusicVaeLoss(output_depths=(6,)))
    fitted.compile(optimizer=keras.optimizers.Adam(0.05), jit_compile=False)
    fitted.optimizer.build(model.trainable_variables)  # or the step's graph is made twice
    losses = [float(fitted.train_on_batch(x, y)) for _ in range(60)]
    assert np.mean(losses[-3:]) < 0.8 * losses[0], losses
    model(x)
    assert int(model.step) == 60


@pytest.mark.parametrize(("arguments", "message"), [
    ({"level_lengths": (3, 2)}, "make 6 steps, but max_seq_len is 8"),
    ({"enc_segments": 3}, "enc_segments=3 does not divide max_seq_len, which is 8"),
    ({"sampling_schedule": "linear"}, "expected one of constant"),
    ({"sampling_schedule": "inverse_sigmoid", "sampling_rate": 0.5}, "at least 1"),
    ({"sampling_rate": 1.5}, "0 to 1 for constant")])
def test_contradictory_hparams_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


def test_the_loss_does_not_see_padding_and_free_bits_are_free():
    model_output = {"logits": np.zeros((2, 8, 6), np.float32), "mu": np.ones((2, 3), np.float32),
                    "sigma": np.ones((2, 3), np.float32), "kl_weight": np.full(2, 0.5, np.float32)}
    y = {"outputs": sequences(count=2), "lengths": np.array([5, 8])}
    terms = MusicVaeLoss(output_depths=(6,)).terms(y, model_output)
    np.testing.assert_allclose(terms["r_loss"], np.log(6) * np.array([5, 8]), rtol=1e-5)
    np.testing.assert_allclose(terms["kl_loss"], 1.5, rtol=1e-5)
    free = MusicVaeLoss(free_bits=1.0, output_depths=(6,)).terms(y, model_output)["kl_loss"]
    np.testing.assert_allclose(free, 1.5 - np.log(2), rtol=1e-5)


def test_the_layers_keep_their_arguments_and_train(tmp_path):
    rng = np.random.default_rng(0)
    z, previous = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 3), (2, 5, 4)))
    model_case.check_layer(Conductor, {"rnn_size": (4, 3), "num_segments": 2}, (z,), (2, 2, 3),
                           {"rnn_size": [5], "num_segments": 3, "input_size": 2}, tmp_path)
    model_case.check_layer(CategoricalDecoder, {"rnn_size": (4, 3), "output_depth": 4},
                           (z, previous), (2, 5, 4),
                           {"rnn_size": [5], "output_depth": 6, "chrono_steps": 9}, tmp_path)


def test_the_model_keeps_its_arguments_and_trains(tmp_path):
    arguments = {"max_seq_len": 8, "z_size": 3, "enc_rnn_size": (4,), "dec_rnn_size": (4, 3),
                 "input_depth": 6, "output_depths": (6,)}
    changes = {
        "max_seq_len": 4, "z_size": 2, "enc_rnn_size": [3, 2], "dec_rnn_size": (3,),
        "input_depth": 5, "output_depths": (4, 2), "level_lengths": (2, 4), "max_beta": 0.5,
        "enc_segments": 2, "conductor_rnn_size": [3], "conductor_input_size": 2,
        "chrono_bias": True, "beta_rate": 0.9,
        "sampling_schedule": {"sampling_schedule": "inverse_sigmoid", "sampling_rate": 100.0},
        "sampling_rate": 0.1, "seed": 1}
    steps = np.eye(6, dtype=np.float32)[np.random.default_rng(0).integers(6, size=(2, 8))]
    shapes = {"kl_weight": (2,), "logits": (2, 8, 6), "mu": (2, 3), "sigma": (2, 3)}
    model_case.check_model(MusicVae, arguments, {"inputs": steps, "outputs": steps}, shapes,
                           changes, tmp_path)


def test_the_loss_keeps_its_arguments():
    rng = np.random.default_rng(0)
    outputs = np.eye(6, dtype=np.float32)[rng.integers(6, size=(2, 8))]
    prediction = {"logits": rng.normal(size=(2, 8, 6)).astype(np.float32),
                  "mu": rng.normal(size=(2, 3)).astype(np.float32),
                  "sigma": rng.uniform(0.5, 1, size=(2, 3)).astype(np.float32),
                  "kl_weight": np.full(2, 0.7, np.float32)}
    model_case.check_loss(MusicVaeLoss, {"output_depths": (6,)},
                          {"outputs": outputs, "lengths": np.array([8, 5])}, prediction,
                          {"free_bits": 0.4, "output_depths": (2, 4)})
