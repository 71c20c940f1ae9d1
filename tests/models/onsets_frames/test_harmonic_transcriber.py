import keras
import numpy as np
import pytest
from keras import ops

from style_transfer.models.onsets_frames import harmonic_transcriber as ht
from tests import model_case

TINY = {"width": 6, "dilations": (1, 2), "frame_dilations": (2,), "related": 2}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = ht.HarmonicTranscriber(**TINY)
    model(np.zeros((1, 3200), np.float32))
    return model


def tone(pitch, secs=0.6, partials=6):
    """Harmonic tone of a MIDI pitch, float32 `[1, samples]`."""
    time = np.arange(int(16_000 * secs)) / 16_000
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return sum(0.1 / k * np.sin(2 * np.pi * k * hz * time)
               for k in range(1, partials + 1)).astype(np.float32)[None]


def test_filters_sum_to_one_and_middle_ones_lie_on_the_keys():
    matrix = ht.log_frequency_matrix(4096, 16_000, 3)
    assert matrix.sum(axis=0) == pytest.approx(1, abs=1e-5)
    hz = 440 * 2 ** ((np.array([60, 72, 84]) - 69) / 12)
    peak_hz = matrix[:, (np.array([60, 72, 84]) - 21) * 3 + 1].argmax(axis=0) * 16_000 / 4096
    assert np.abs(peak_hz - hz).max() <= 16_000 / 4096


@pytest.mark.parametrize("semitones", [-24, -1, 0, 5, 43])
def test_shifted_keys_take_what_lies_above_or_below(semitones):
    x = np.arange(1, 99, dtype=np.float32).reshape(1, 1, 98, 1)
    shifted = np.ravel(ht.shifted_keys(ops.convert_to_tensor(x), semitones, 88))
    wanted = [k + semitones + 1 if 0 <= k + semitones < 98 else 0 for k in range(88)]
    assert shifted.tolist() == wanted


def test_a_tone_is_loudest_on_its_own_key_and_moves_with_its_pitch(model):
    for pitch in (57, 69, 81):
        middle = np.asarray(model.spectrogram(tone(pitch)))[0, 15]
        assert middle[:, 1].argmax() == pitch - 21


def test_outputs_have_a_frame_every_hop(model):
    for samples in (3200, 3201, 6399):
        outputs = model(np.zeros((2, samples), np.float32))
        shapes = {name: tuple(value.shape) for name, value in outputs.items()}
        frames = 1 + samples // 320
        assert shapes.pop("pedal") == (2, frames, 1)
        assert shapes == dict.fromkeys(("onset", "offset", "frame", "key", "velocity",
                                        "velocity_scale"), (2, frames, 88))


def test_audio_beyond_the_context_changes_nothing(model):
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.standard_normal((1, 32_000)).astype(np.float32)
    changed = audio.copy()
    changed[:, 16_000 + int(model.context_secs * 16_000) + 320:] = 0
    before, after = (model(x) for x in (audio, changed))
    for name, value in before.items():
        assert np.allclose(value[0, :51], after[name][0, :51], atol=1e-5), name
    before = before["frame"][0, :51]
    changed[:, 16_000:] = 0
    assert not np.allclose(before, model(changed)["frame"][0, :51], atol=1e-3)


def test_a_causal_model_knows_nothing_later_than_half_a_frame_of_the_spectrum():
    causal = ht.HarmonicTranscriber(**TINY, causal=True)
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.standard_normal((1, 32_000)).astype(np.float32)
    changed = audio.copy()
    changed[:, 16_000 + 4096 // 2:] = 0
    for name, value in causal(audio).items():
        assert np.allclose(value[0, :51], causal(changed)[name][0, :51], atol=1e-5), name
    changed[:, 16_000:] = 0
    assert not np.allclose(causal(audio)["frame"][0, :51], causal(changed)["frame"][0, :51],
                           atol=1e-4)
    first = int(1.5 * causal.context_secs * 50)  # the frame that knows nothing of what changes
    longer = 0.1 * rng.standard_normal((1, 320 * (first + 20))).astype(np.float32)
    changed = longer.copy()
    changed[:, :320 * first - int(causal.context_secs * 16_000)] = 0
    found = [causal(samples)["frame"][0, first:] for samples in (longer, changed)]
    assert np.allclose(*found, atol=1e-5) and not np.array_equal(longer, changed)


def test_velocities_have_a_scale_that_is_never_zero(model):
    rng = np.random.default_rng(0)
    for level in (0.0, 1e-3, 1.0):
        found = model(level * rng.standard_normal((1, 8000)).astype(np.float32))
        velocity, scale = np.array(found["velocity"]), np.array(found["velocity_scale"])
        assert np.all((velocity > 0) & (velocity < 1)) and np.all(scale > ht.SCALE_FLOOR)


def test_a_note_is_compared_to_the_onsets_around_it():
    head = ht.VelocityHead(4)
    head.build((1, None, 88, 3), (1, None, 88, 2))
    x = np.random.default_rng(0).random((1, 200, 88, 2), np.float32)
    onset = np.zeros((1, 200, 88), np.float32)
    onset[0, 100, 20], onset[0, 110, 30] = 1.0, 1.0
    near = np.array(head.neighbours(x, onset))[0]
    reach = ht.VELOCITY_CONTEXT // 2
    both = (x[0, 100, 20] + x[0, 110, 30]) / (2 + ht.FEWEST_ONSETS * ht.VELOCITY_CONTEXT)
    np.testing.assert_allclose(near[105], both, rtol=1e-5)
    assert not near[100 - reach - 1].any() and near[100 - reach].any()
    assert not near[110 + reach + 1].any() and near[110 + reach].any()


def test_onsets_condition_frames_without_a_gradient_back():
    import tensorflow as tf

    model = ht.HarmonicTranscriber(**TINY)
    audio = tone(60)
    with tf.GradientTape() as tape:
        loss = ops.mean(model(audio, training=True)["frame"])
    gradient = tape.gradient(loss, model.attack.trainable_variables)
    assert all(g is None for g in gradient)
    before = model(audio)["frame"]
    model.attack.bias.assign(model.attack.bias + 3.0)
    assert not np.allclose(before, model(audio)["frame"], atol=1e-5)


def test_silence_is_finite_and_a_training_step_lowers_the_loss():
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = ht.HarmonicTranscriber(**TINY)
    assert all(np.all(np.isfinite(v)) for v in model(np.zeros((1, 8000), np.float32)).values())
    audio, optimizer = tone(60), keras.optimizers.Adam(1e-2)
    target = np.zeros((1, 31, 88), np.float32)
    target[:, :, 39] = 1
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(audio, training=True)["frame"]
            loss = ops.mean(keras.ops.binary_crossentropy(target, logits, from_logits=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply([ops.zeros_like(v) if g is None else g for v, g in
                         zip(model.trainable_variables, gradients, strict=True)],
                        model.trainable_variables)
        return loss

    losses = [float(step()) for _ in range(15)]
    assert np.isfinite(losses).all() and losses[-1] < 0.5 * losses[0]


def test_saving_keeps_the_outputs(model, tmp_path):
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert restored.get_config() == model.get_config()
    assert np.allclose(restored(tone(50))["onset"], model(tone(50))["onset"], atol=1e-6)


def test_weights_load_without_an_example(model, tmp_path):
    from style_transfer import weights

    weights.save(model, tmp_path, "tiny")
    restored = weights.load(tmp_path)
    assert np.allclose(restored(tone(50))["frame"], model(tone(50))["frame"], atol=2e-2)


def test_the_model_and_its_block_keep_their_arguments_and_train(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 6, 88, 4)).astype(np.float32)
    model_case.check_layer(ht.HarmonicBlock, {"width": 4, "related": 2}, (x,), (2, 6, 88, 4),
                           {"width": 5, "dilation": 2, "related": 0, "causal": True}, tmp_path)
    arguments = {"width": 4, "dilations": (1, 2), "frame_dilations": (2,), "related": 2,
                 "fft_sizes": (1024, 512)}
    changes = {"sample_rate": 8000, "hop_length": 160, "fft_sizes": (2048, 512),
               "bins_per_semitone": (2, 1), "width": 5, "dilations": [1], "frame_dilations": (1,),
               "related": 3, "related_every": 1, "causal": True, "velocity_width": 5}
    audio = np.random.default_rng(0).normal(0, 0.1, (2, 3200)).astype(np.float32)
    shapes = {name: (2, 11, 88) for name in ("frame", "key", "offset", "onset", "velocity",
                                             "velocity_scale")}
    model_case.check_model(ht.HarmonicTranscriber, arguments, audio,
                           {**shapes, "pedal": (2, 11, 1)}, changes, tmp_path)


def test_the_velocity_head_keeps_its_arguments_and_trains(tmp_path):
    rng = np.random.default_rng(0)
    harmonics, x = (rng.normal(size=(2, 6, 88, size)).astype(np.float32) for size in (3, 4))
    onset = rng.uniform(size=(2, 6, 88)).astype(np.float32)
    model_case.check_layer(ht.VelocityHead, {"width": 4}, (harmonics, x, onset),
                           [(2, 6, 88), (2, 6, 88)], {"width": 6, "causal": True}, tmp_path)
