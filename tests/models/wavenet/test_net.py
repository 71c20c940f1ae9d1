import keras
import numpy as np
import pytest
from keras import ops

from style_transfer.models.wavenet import layers as blocks
from style_transfer.models.wavenet.loss import WaveNetLoss
from style_transfer.models.wavenet.net import WaveNet
from tests import model_case

TINY = {"sample_rate": 2000, "num_layers": 5, "dilation_cycle": 3, "residual_channels": 6,
        "skip_channels": 10, "hidden_channels": 12, "num_mixtures": 3, "context_layers": 2,
        "context_channels": 8}


def inputs(batch=2, samples=187, hop=8, seed=0, **more):
    rng = np.random.default_rng(seed)
    frames = -(-samples // hop)
    roll = rng.uniform(size=(batch, frames, 176)) * (rng.uniform(size=(batch, frames, 176)) < 0.05)
    return {"audio": rng.uniform(-0.5, 0.5, (batch, samples)).astype(np.float32),
            "roll": roll.astype(np.float32), **more}


def built(**options):
    keras.utils.set_random_seed(3)
    model = WaveNet(**{**TINY, **options})
    model.build(None)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:  # zeros would hide mistakes
        noise = rng.normal(0, 0.1, variable.shape).astype(np.float32)
        variable.assign(np.asarray(variable) + noise)
    return model


def logits(model, x):
    return np.asarray(model(x)["logits"])


def test_midi2waves_sizes():
    model = WaveNet()
    model.build(None)
    assert model.receptive_field == 5119
    assert 1.0e6 < model.count_params() < 1.06e6


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_a_prediction_depends_on_its_receptive_field_and_nothing_else(kernel_size):
    model = built(kernel_size=kernel_size, num_layers=4)
    field = model.receptive_field
    assert field == 1 + (kernel_size - 1) * (1 + 2 + 4 + 1)
    x = inputs(batch=1, samples=80)
    before, at = logits(model, x), 30
    changed = {**x, "audio": x["audio"].copy()}
    changed["audio"][:, at] += 0.3
    moved = np.abs(logits(model, changed) - before).max(axis=(0, 2)) > 1e-7
    assert np.array_equal(np.flatnonzero(moved), np.arange(at + 1, at + 1 + field))


@pytest.mark.parametrize("upsampling", blocks.UPSAMPLINGS)
def test_the_roll_is_heard_before_and_after_and_not_beyond_its_reach(upsampling):
    model = built(upsampling=upsampling)
    x = inputs(batch=1, samples=400)
    changed = {**x, "roll": x["roll"].copy()}
    changed["roll"][:, 25, 40] += 0.5
    moved = np.abs(logits(model, changed) - logits(model, x)).max(axis=(0, 2)) > 1e-7
    reach = model.context.reach + (upsampling != "repeat")
    first, last = np.flatnonzero(moved)[[0, -1]]
    assert (25 - reach) * 8 <= first < (25 - model.context.reach + 1) * 8
    assert last < (25 + reach + 1) * 8 + model.receptive_field


def test_upsampling_then_projecting_is_projecting_then_upsampling():
    rng = np.random.default_rng(0)
    frames, matrix = rng.normal(size=(2, 6, 5)).astype("f"), rng.normal(size=(5, 7)).astype("f")
    layer = blocks.ConditionUpsampling(8, "linear")
    assert np.allclose(layer(frames @ matrix), np.asarray(layer(frames)) @ matrix, atol=1e-5)


def test_linear_upsampling_goes_through_the_middle_of_frames():
    layer = blocks.ConditionUpsampling(4, "linear")
    ramp = np.arange(5, dtype=np.float32).reshape(1, 5, 1)
    samples = np.ravel(layer(ramp))
    assert np.allclose(samples[2:-2], (np.arange(20) + 0.5)[2:-2] / 4 - 0.5)
    learned = blocks.ConditionUpsampling(4, "transposed")
    assert np.allclose(np.ravel(learned(ramp)), samples, atol=1e-6)


def test_pianos_are_told_apart():
    x = inputs()
    style = np.random.default_rng(1).normal(size=(2, 5)).astype(np.float32)
    by_style = built(global_size=5)
    with pytest.raises(ValueError, match="style"):
        by_style(x)
    assert not np.allclose(logits(by_style, {**x, "style": style}),
                           logits(by_style, {**x, "style": -style}), atol=1e-3)
    by_id = built(num_pianos=3)
    first, second = (logits(by_id, {**x, "piano_id": np.array(ids)}) for ids in ([0, 1], [0, 2]))
    assert np.allclose(first[0], second[0], atol=1e-6)
    assert not np.allclose(first[1], second[1], atol=1e-3)


def test_excitation_has_the_pitch_of_what_sounds_and_no_seams():
    sounding = np.zeros((1, 250, 88), np.float32)
    sounding[0, :, 48] = 0.7  # A4
    waves = np.asarray(blocks.excitation(sounding, np.zeros(1, "int32"), 32, 8000, 3))[0]
    time = np.arange(8000) / 8000
    for partial in (1, 2, 3):
        angle = 2 * np.pi * 440 * partial * time
        assert np.allclose(waves[:, 2 * partial - 2], 0.7 * np.sin(angle), atol=2e-3)
        assert np.allclose(waves[:, 2 * partial - 1], 0.7 * np.cos(angle), atol=2e-3)


def test_excitation_of_a_part_is_that_part_of_the_whole_even_after_half_an_hour():
    rng = np.random.default_rng(0)
    sounding = rng.uniform(size=(1, 12, 88)).astype(np.float32)
    start = np.array([450_000], np.int32)
    whole = np.asarray(blocks.excitation(sounding, start, 32, 8000, 4))
    part = np.asarray(blocks.excitation(sounding[:, 5:], start + 5, 32, 8000, 4))
    assert np.allclose(part, whole[:, 160:], atol=2e-3)
    hz = 440 * 2 ** ((np.arange(88) - 48) / 12)
    at = (450_000 * 32 + np.arange(12 * 32)) / 8000
    exact = (np.repeat(sounding[0], 32, axis=0) * np.sin(2 * np.pi * hz * at[:, None]) *
             (hz < 3600)).sum(axis=1)
    assert np.allclose(whole[0, :, 0], exact, atol=2e-2)


def test_crops_hear_the_excitation_of_the_whole_piece():
    model = built(excitation_partials=3, context_layers=1)
    x = inputs(batch=1, samples=240)
    crop = {"audio": x["audio"][:, 80:], "roll": x["roll"][:, 10:],
            "start_sample": np.array([80])}
    settled = model.receptive_field + 3 * 8  # what the context knows of before the crop
    assert np.allclose(logits(model, crop)[:, settled:], logits(model, x)[:, 80 + settled:],
                       atol=1e-4)
    del crop["start_sample"]
    assert not np.allclose(logits(model, crop)[:, settled:], logits(model, x)[:, 80 + settled:],
                           atol=1e-2)


def test_argmax_codes_are_one_hot_and_let_gradients_through():
    import tensorflow as tf

    layer = blocks.ArgmaxCodes(3, 4)
    x = tf.Variable(np.random.default_rng(0).normal(size=(2, 5, 6)).astype("f"))
    with tf.GradientTape() as tape:
        codes, shares = layer(x)
        score = ops.sum(codes * np.arange(4, dtype=np.float32))
    assert np.allclose(np.sort(codes, axis=-1), [0, 0, 0, 1], atol=1e-6)
    assert np.array_equal(np.argmax(codes, -1), np.argmax(shares, -1))
    assert np.allclose(np.sum(shares, axis=-1), 1, atol=1e-5)
    assert np.abs(tape.gradient(score, x)).max() > 0


def test_usage_loss_is_zero_for_a_uniform_prior_and_largest_for_one_class():
    even = np.eye(4, dtype=np.float32)[None, :, None]  # four steps of one code
    assert float(blocks.usage_loss(even)) == pytest.approx(0)
    stuck = np.repeat(even[:, :1], 4, axis=1)
    assert float(blocks.usage_loss(stuck)) == pytest.approx(3)  # ((4 - 1)^2 + 3) / 4


@pytest.mark.parametrize("options", [
    {}, *(pytest.param(options, marks=pytest.mark.slow) for options in (
        {"output": "mulaw"},
        {"bottleneck": "argmax", "bottleneck_hop": 5, "upsampling": "linear"},
        {"auxiliary": "transcription", "input_noise": 0.01, "input_dropout": 0.3})),
    {"auxiliary": "spectral", "scheduled_sampling": 0.3, "upsampling": "repeat",
     "excitation_partials": 2, "sample_rate": 8000}], ids=lambda o: "-".join(o) or "default")
def test_training_lowers_the_loss(options):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = WaveNet(**{**TINY, **options})
    samples = 1024 if "spectral" in options.values() else 187
    x = inputs(samples=samples, hop=model.hop)
    x["audio"] = 0.3 * np.sin(np.arange(samples) / 3)[None].repeat(2, 0).astype(np.float32)
    loss, optimizer, values = WaveNetLoss(model.output_kind), keras.optimizers.Adam(1e-2), []
    model.build(None)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            value = loss(x, model(x, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    optimizer.build(model.trainable_variables)
    values = [float(step()) for _ in range(25)]
    assert np.isfinite(values).all() and values[-1] < 0.9 * values[0]
    terms = loss.terms(x, model(x))
    assert {name for name, value in terms.items() if ops.shape(value) != (2,)} == set()
    assert float(loss(x, model(x))) > 0


def test_disturbances_act_while_training_only():
    x = inputs()
    plain = logits(built(), x)
    for options in ({"input_noise": 0.1}, {"input_dropout": 0.5}, {"scheduled_sampling": 0.5}):
        model = built(**options)
        assert np.allclose(logits(model, x), plain, atol=1e-6)
        assert not np.allclose(model(x, training=True)["logits"], plain, atol=1e-3)


def test_dropout_zeroes_whole_stretches_at_the_probability_asked_for():
    model = built(input_dropout=0.3, input_dropout_secs=0.011)
    past = np.asarray(model._disturbed(np.ones((50, 2400), np.float32)))
    assert past.mean() == pytest.approx(0.7, abs=0.03)
    stretches = past.reshape(50, 100, 24)  # 22 samples, rounded up to frames
    assert np.all(stretches == stretches[:, :, :1])


def test_first_samples_can_be_left_out_of_the_loss():
    model, x = built(), inputs()
    outputs = {"logits": np.array(model(x)["logits"])}
    before = float(WaveNetLoss(skip_samples=40)(x, outputs))
    outputs["logits"][:, :40] += 3
    assert float(WaveNetLoss(skip_samples=40)(x, outputs)) == pytest.approx(before)
    assert float(WaveNetLoss()(x["audio"], outputs)) != pytest.approx(before)
    with pytest.raises(ValueError, match="make crop_secs longer"):
        WaveNetLoss(skip_samples=x["audio"].shape[1])(x, outputs)


@pytest.mark.parametrize("options", [{"output": "mulaw"}, {"bottleneck": "argmax"},
                                     {"excitation_partials": 2, "global_size": 4},
                                     {"predictor_taps": 7}])
def test_saving_keeps_outputs_and_weights_load_without_an_example(options, tmp_path):
    from style_transfer import weights

    model = built(**options)
    x = inputs(style=np.ones((2, 4), np.float32))
    before = logits(model, x)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert restored.get_config() == model.get_config()
    assert np.allclose(logits(restored, x), before, atol=1e-6)
    weights.save(model, tmp_path, "tiny")
    assert np.allclose(logits(weights.load(tmp_path), x), before, atol=0.05)


@pytest.mark.parametrize("options, message", [
    ({"sample_rate": 2001}, "multiple of roll_rate"), ({"output": "linear"}, "mixture"),
    ({"upsampling": "cubic"}, "transposed"), ({"context_kernel_size": 2}, "odd"),
    ({"predictor_taps": 4, "output": "mulaw"}, "no centre to move"),
    ({"predictor_taps": 4, "roll_features": 88}, "predictor_taps needs rolls of 176")])
def test_options_that_cannot_be_say_so(options, message):
    with pytest.raises(ValueError, match=message):
        WaveNet(**{**TINY, **options})


def test_roll_and_audio_must_have_the_same_length():
    x = inputs()
    with pytest.raises(ValueError, match="expected 24 frames"):
        built()({**x, "roll": x["roll"][:, :-1]})


STEPS = np.random.default_rng(4).normal(size=(2, 12, 6)).astype(np.float32)


def test_every_layer_keeps_its_arguments_and_trains(tmp_path):
    model_case.check_layer(
        blocks.GatedStack, {"channels": 6, "gate_channels": 4, "dilations": (1, 2)}, (STEPS,),
        (2, 12, 8), {"channels": 5, "gate_channels": 3, "dilations": [2, 4], "kernel_size": 3,
                     "causal": {"causal": False, "kernel_size": 3}}, tmp_path)
    model_case.check_layer(
        blocks.ConditionUpsampling, {"hop": 4, "kind": "transposed"}, (STEPS,), (2, 12, 4, 6),
        {"hop": 5, "kind": "repeat"}, tmp_path)
    model_case.check_layer(
        blocks.ArgmaxCodes, {"num_codes": 2, "num_classes": 3}, (STEPS,),
        [(2, 12, 2, 3), (2, 12, 2, 3)], {"num_codes": 3, "num_classes": 4}, tmp_path)
    x = {"roll": STEPS, "style": STEPS[:, 0, :3], "piano_id": np.array([0, 1], np.int32)}
    model_case.check_layer(
        blocks.ContextStack, {"channels": 5, "dilations": (1, 2), "global_size": 3,
                              "num_pianos": 2}, (x,), (2, 12, 5),
        {"channels": 4, "dilations": (1,), "kernel_size": 5, "global_size": 2, "num_pianos": 3},
        tmp_path)


def test_the_model_keeps_its_arguments_and_trains(tmp_path):
    changes = {
        "sample_rate": 4000, "roll_rate": 500, "roll_features": 88, "num_layers": 4,
        "dilation_cycle": 2, "kernel_size": 3, "residual_channels": 4, "gate_channels": 5,
        "skip_channels": 7, "hidden_channels": 9, "output": "mulaw", "num_mixtures": 2,
        "context_layers": 3, "context_cycle": 2, "context_channels": 6, "context_kernel_size": 5,
        "upsampling": "linear", "global_size": 3, "num_pianos": 2, "bottleneck": "argmax",
        "bottleneck_codes": 3, "bottleneck_classes": 5, "bottleneck_hop": 2,
        "excitation_partials": 2, "predictor_taps": 4, "predictor_partials": 8,
        "input_noise": 0.1, "input_dropout": 0.1, "input_dropout_secs": 0.1,
        "scheduled_sampling": 0.2, "auxiliary": "transcription", "auxiliary_weight": 0.5,
        "seed": 1}
    model_case.check_model(WaveNet, TINY, inputs(samples=64), {"logits": (2, 64, 9)}, changes,
                           tmp_path)


def test_the_loss_keeps_its_arguments():
    rng = np.random.default_rng(1)
    shares = np.exp(rng.normal(size=(2, 8, 2, 3))).astype(np.float32)
    prediction = {"logits": rng.normal(size=(2, 64, 255)).astype(np.float32),
                  "transcription": rng.normal(size=(2, 8, 176)).astype(np.float32),
                  "code_shares": shares / shares.sum(axis=-1, keepdims=True)}
    changes = {"auxiliary_weight": 0.5, "usage_weight": 0.3, "skip_samples": 3}
    model_case.check_loss(WaveNetLoss, {}, inputs(samples=64), prediction,
                          {**changes, "output": "mulaw"})
