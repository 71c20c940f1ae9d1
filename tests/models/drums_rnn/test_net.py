import keras
import numpy as np
import pytest

from style_transfer import weights
from style_transfer.models.drums_rnn.attention_lstm import AttentionLstm
from style_transfer.models.drums_rnn.net import DrumsRnn
from style_transfer.symbolic.loss import NextClassLoss
from tests import model_case

TINY = {"input_size": 7, "num_classes": 5, "rnn_layer_sizes": (4, 3), "dropout_keep_prob": 0.5}
each_kind = pytest.mark.parametrize("attn_length", [0, 3])


def tiny(attn_length):
    keras.utils.set_random_seed(0)
    model = DrumsRnn(**TINY, attn_length=attn_length)
    model.build(None)
    return model


def inputs(steps=6):
    return np.random.default_rng(0).normal(size=(2, steps, 7)).astype(np.float32)


@each_kind
def test_saved_weights_with_config_give_the_same_outputs(tmp_path, attn_length):
    model = tiny(attn_length)
    weights.write_config(tmp_path, model, "tiny")
    model.save_weights(tmp_path / weights.WEIGHTS_FILE)
    loaded = weights.load(tmp_path)
    assert loaded.get_config() == model.get_config()
    x = {"inputs": inputs()}
    np.testing.assert_array_equal(model(x), loaded(x))


@each_kind
def test_what_follows_changes_nothing_before(attn_length):
    model, x = tiny(attn_length), inputs()
    changed = x.copy()
    changed[:, 4:] = 3.0
    before, after = np.asarray(model({"inputs": x})), np.asarray(model({"inputs": changed}))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).all()


def test_attention_reaches_as_far_back_as_asked_for():
    """A state that has forgotten all but the history tells how much of it is heard."""
    model = tiny(3)
    _, state = model.run(inputs())
    changed = list(state)
    *lstm, history = state[0]
    for index in range(3):
        other = np.asarray(history).copy()
        other[:, index] += 1.0
        changed[0] = (*lstm, other)
        found = np.asarray(model.run(inputs(1), tuple(changed))[0])
        assert np.abs(found - np.asarray(model.run(inputs(1), state)[0])).max() > 1e-6


@each_kind
def test_dropout_is_for_training_only(attn_length):
    model, x = tiny(attn_length), {"inputs": inputs()}
    np.testing.assert_array_equal(model(x), model(x))
    assert (np.asarray(model(x, training=True)) != np.asarray(model(x))).any()


@each_kind
def test_a_few_steps_of_fit_lower_the_loss(attn_length):
    model = DrumsRnn(**{**TINY, "dropout_keep_prob": 1.0}, attn_length=attn_length)
    x = {"inputs": inputs()}
    y = np.random.default_rng(1).integers(5, size=(2, 6))
    model.compile(keras.optimizers.Adam(0.05), loss=keras.losses.SparseCategoricalCrossentropy(
        from_logits=True), jit_compile=False)
    model.build(None)
    model.optimizer.build(model.trainable_variables)  # or the step's graph is made twice
    history = model.fit(x, y, epochs=15, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]


def test_the_loss_does_not_see_padding():
    logits = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    y = {"labels": np.ones((2, 6), np.int32), "lengths": np.array([2, 6])}
    loss = NextClassLoss()
    expected = np.mean(np.asarray(loss.call(y, logits)))
    logits[0, 2:] = 9.0
    assert np.mean(np.asarray(loss.call(y, logits))) == pytest.approx(expected, rel=1e-6)
    logits[0, 1, 1] = 9.0
    assert np.mean(np.asarray(loss.call(y, logits))) < expected


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        DrumsRnn(rnn_layer_sizes=())


def test_the_model_and_its_layer_keep_their_arguments_and_train(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    states = [(2, 4), (2, 4), (2, 4), (2, 3, 4), (2, 3, 4)]
    model_case.check_layer(
        AttentionLstm, {"units": 4, "attn_length": 3}, (x,), [(2, 6, 4), states],
        {"units": 5, "attn_length": 2, "kernel_initializer": keras.initializers.Constant(0.1)},
        tmp_path)
    changes = {"input_size": 8, "num_classes": 6, "rnn_layer_sizes": [5], "attn_length": 0,
               "dropout_keep_prob": 0.9}
    model_case.check_model(DrumsRnn, TINY, {"inputs": inputs()}, (2, 6, 5), changes, tmp_path)


def test_the_loss_keeps_its_argument():
    y = {"labels": np.array([[0, 1, 2], [1, 1, 0]]), "lengths": np.array([3, 2])}
    logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    logits[..., 1] += 9  # always the likeliest
    model_case.check_loss(NextClassLoss, {}, y, logits, {"no_event_label": 1},
                          silent=("no_event_label",))  # it counts in `terms`
    rates = [NextClassLoss(label).terms(y, logits)["event_accuracy"] for label in (0, 1)]
    assert np.mean(rates[0]) > 0.5 and np.mean(rates[1]) == 0
