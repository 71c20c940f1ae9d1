"""Reading TensorFlow checkpoints, and giving Keras models their values."""

import pathlib
import shutil
import tarfile
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from style_transfer import checkpoints, configs
from style_transfer.checkpoints import layouts
from style_transfer.models.onsets_frames import magenta
from style_transfer.models.onsets_frames.net import OnsetsFrames

FIXTURE = pathlib.Path(__file__).parents[1] / "parity" / "fixtures" / "onsets_frames"
TINY = {"a/weights": np.arange(6, dtype=np.float32).reshape(2, 3), "a/biases": np.ones(3, "f")}


def same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(arrays[name], value)


# --- Reading ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrays():
    return checkpoints.read(FIXTURE)


@pytest.fixture
def copied(tmp_path):
    for file in FIXTURE.glob("*ckpt*"):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index",
                                  "model.ckpt.data-00000-of-00001"])
def test_a_checkpoint_is_read_by_its_prefix_or_any_of_its_files(arrays, name):
    assert len(arrays) == 79 and arrays["onsets/conv0/weights"].shape == (3, 3, 1, 8)
    same(checkpoints.read(FIXTURE / name), arrays)


def test_a_folder_without_state_file_is_read_if_it_has_one_checkpoint(copied, arrays):
    same(checkpoints.read(copied), arrays)


@pytest.mark.parametrize("recorded", ["model.ckpt", "/home/somebody/train/model.ckpt"])
def test_of_several_checkpoints_the_one_recorded_is_read_even_if_moved(copied, arrays, recorded):
    shutil.copy(copied / "model.ckpt.index", copied / "old.ckpt.index")
    (copied / "checkpoint").write_text(
        f'model_checkpoint_path: "{recorded}"\nall_model_checkpoint_paths: "old.ckpt"\n')
    same(checkpoints.read(copied), arrays)


def test_several_checkpoints_without_state_file_are_named(copied):
    shutil.copy(copied / "model.ckpt.index", copied / "old.ckpt.index")
    with pytest.raises(FileNotFoundError, match="several.*model.ckpt, old.ckpt. Name one"):
        checkpoints.read(copied)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_downloaded_archives_are_read(tmp_path, arrays, kind):
    archive = tmp_path / f"maestro.{kind}"
    members = {f"../train/{file.name}": file for file in FIXTURE.glob("*ckpt*")}
    members["train/notes.txt"] = FIXTURE / "spec.json"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as target:
            for name, file in members.items():
                target.write(file, name)
    else:
        with tarfile.open(archive, "w:gz") as target:
            for name, file in members.items():
                target.add(file, name)
    same(checkpoints.read(archive), arrays)
    assert [file.name for file in tmp_path.iterdir()] == [archive.name]
    assert not (tmp_path.parent / "train").exists()


def test_an_archive_without_checkpoint_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.write(FIXTURE / "spec.json", "spec.json")
    with pytest.raises(ValueError, match=r"no single checkpoint in the archive '.*a.zip'"):
        checkpoints.read(tmp_path / "a.zip")


def test_npz_files_are_read(tmp_path):
    np.savez(tmp_path / "weights.npz", **TINY)
    same(checkpoints.read(tmp_path / "weights.npz"), TINY)


def make_bundle(path):
    """A .mag as Magenta writes it: a single-file checkpoint of the first version inside."""
    from note_seq.protobuf import generator_pb2

    single = path.with_suffix(".ckpt")
    tf.raw_ops.Save(filename=str(single), tensor_names=list(TINY), data=list(TINY.values()))
    bundle = generator_pb2.GeneratorBundle(checkpoint_file=[single.read_bytes()],
                                           metagraph_file=b"unused")
    bundle.generator_details.id = "attention_rnn"
    path.write_bytes(bundle.SerializeToString())
    return single


def test_bundles_and_checkpoints_of_the_first_version_are_read(tmp_path):
    pytest.importorskip("note_seq")
    single = make_bundle(tmp_path / "rnn.mag")
    same(checkpoints.read(tmp_path / "rnn.mag"), TINY)
    same(checkpoints.read(single), TINY)


@pytest.mark.parametrize("name", ["missing.ckpt", "missing.npz", "missing.mag", "folder"])
def test_what_is_not_there_is_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=name):
        checkpoints.read(tmp_path / name)


@pytest.mark.parametrize("name", ["broken.npz", "broken.mag", "broken.ckpt", "broken.ckpt.index"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe not a checkpoint")
    with pytest.raises(ValueError, match="broken"):
        checkpoints.read(tmp_path / name)


def test_cut_off_data_is_refused(copied):
    data = copied / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="model.ckpt.*cannot be read"):
        checkpoints.read(copied)


# --- Assigning --------------------------------------------------------------------------------


@pytest.fixture
def dense():
    model = keras.Sequential([layers.Input((2,)), layers.Dense(3, name="dense")])
    return model, model.layers[0]


def entries(layer):
    return [checkpoints.Entry(layer.kernel, "a/weights"),
            checkpoints.Entry(layer.bias, "a/biases", lambda array: 2 * array)]


def test_values_are_assigned_converted_and_what_training_left_is_passed_over(dense):
    model, layer = dense
    left = dict.fromkeys(("global_step", "beta1_power", "training/beta2_power", "a/weights/Adam",
                          "training/a/weights/Adam_1", "a/biases/ExponentialMovingAverage",
                          "training/learning_rate"), np.zeros(()))
    checkpoints.assign(model, {**TINY, **left}, entries(layer))
    np.testing.assert_array_equal(layer.kernel, TINY["a/weights"])
    np.testing.assert_array_equal(layer.bias, [2, 2, 2])


def test_every_variable_that_does_not_fit_is_named_and_the_model_unchanged(dense):
    model, layer = dense
    before = model.get_weights()
    arrays = {"a/weights": np.zeros((3, 2)), "b/weights": np.zeros((5,)), "c": np.zeros(())}
    with pytest.raises(ValueError) as raised:
        checkpoints.assign(model, arrays, entries(layer))
    message = str(raised.value)
    assert "missing from the checkpoint: a/biases" in message
    assert "left over in the checkpoint: b/weights (5,), c ()" in message
    assert "a/weights (3, 2) should be " in message and "dense/kernel (2, 3)" in message
    for value, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, now)


def test_a_variable_that_an_importer_forgets_is_named(dense):
    model, layer = dense
    with pytest.raises(ValueError, match="without a source for the model's: .*dense/bias"):
        checkpoints.assign(model, {"a/weights": TINY["a/weights"]}, entries(layer)[:1])


def test_arrays_of_unusable_shape_are_named():
    lstm = layers.LSTM(3)
    lstm.build((None, None, 2))
    model = keras.Sequential([layers.Input((None, 2)), lstm])
    arrays = {"s/kernel": np.zeros((6, 12)), "s/bias": np.zeros(13)}
    with pytest.raises(ValueError, match=r"s/kernel \(6, 12\) cannot become .*recurrent_kernel"
                                         r".*s/bias \(13,\) cannot become"):
        checkpoints.assign(model, arrays, checkpoints.lstm_entries(lstm.cell, "s"))


def test_further_names_may_be_left_over(dense):
    model, layer = dense
    checkpoints.assign(model, {**TINY, "metric/count": np.zeros(())}, entries(layer),
                       skip=[r"^metric/"])


def test_a_config_without_importer_is_named():
    with pytest.raises(ValueError, match="'piano_ddsp' has no checkpoints of .*onsets_frames"):
        configs.get("piano_ddsp").require("importer")


# --- LSTMs ------------------------------------------------------------------------------------


def tensorflow_lstm(x, kernel, bias, forget_bias):
    """TensorFlow 1's cell, step by step."""
    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    units = kernel.shape[1] // 4
    h, c, outputs = np.zeros((len(x), units)), np.zeros((len(x), units)), []
    for step in np.moveaxis(x, 1, 0):
        i, j, f, o = np.split(np.concatenate([step, h], axis=1) @ kernel + bias, 4, axis=1)
        c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(j)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_an_lstm_with_tensorflows_weights_gives_tensorflows_outputs(forget_bias):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(2 + 3, 12)), rng.normal(size=12)
    lstm = layers.LSTM(3, return_sequences=True)
    model = keras.Sequential([layers.Input((None, 2)), lstm])
    checkpoints.assign(model, {"s/kernel": kernel, "s/bias": bias},
                       checkpoints.lstm_entries(lstm.cell, "s", forget_bias=forget_bias))
    x = rng.normal(size=(4, 6, 2))
    np.testing.assert_allclose(model(x), tensorflow_lstm(x, kernel, bias, forget_bias), atol=1e-6)


def packed(scope, arrays, count=1):
    """A stack of single cells as cuDNN has it: Keras's own packing, layer by layer."""
    from keras.src.backend.tensorflow.rnn import _standardize_cudnn_weights

    kernels, biases = [], []
    for cell in cells(scope, count):
        kernel = layouts.to_keras_gates(arrays[f"{cell}/kernel"])
        inputs = len(kernel) - kernel.shape[1] // 4
        bias = layouts.to_keras_gates(arrays[f"{cell}/bias"])
        kernels += [*np.split(kernel[:inputs], 4, 1), *np.split(kernel[inputs:], 4, 1)]
        biases += [*np.split(0.25 * bias, 4), *np.split(0.75 * bias, 4)]
    return np.asarray(_standardize_cudnn_weights(kernels, biases, [-1], transpose_weights=True))


def cells(scope, count):
    return [f"{scope}/stack_bidirectional_rnn/cell_{index}/bidirectional_rnn/{direction}/"
            "cudnn_compatible_lstm_cell" for index in range(count) for direction in ("fw", "bw")]


def stacked_model():
    model = OnsetsFrames(num_filters=(1,), temporal_sizes=(3,), freq_sizes=(3,), pool_sizes=(4,),
                         dropout_keep_amts=(1.0,), fc_size=5, onset_lstm_units=3,
                         offset_lstm_units=0, combined_lstm_units=0, acoustic_rnn_stack_size=3)
    model.build(None)
    return model


def test_cudnns_vector_of_a_stack_gives_the_same_weights_as_single_cells():
    """Random values for what the importer asks for, as cells and as a vector."""
    rng, scope = np.random.default_rng(0), "onsets/cudnn_lstm"
    from_cells, from_vector = stacked_model(), stacked_model()
    entries = magenta.entries(from_cells, {})
    single = {e.names: rng.normal(size=e.variable.shape) for e in entries
              if "/cudnn_lstm/" not in e.names}
    as_cells = dict(single)
    for cell, inputs in zip(cells(scope, 3), (5, 5, 6, 6, 6, 6), strict=True):
        as_cells[f"{cell}/kernel"] = rng.normal(size=(inputs + 3, 12))
        as_cells[f"{cell}/bias"] = rng.normal(size=12)
    checkpoints.load(from_cells, as_cells, magenta.entries)
    vector = packed(scope, as_cells, count=3)
    checkpoints.load(from_vector, {**single, f"{scope}/opaque_kernel": vector}, magenta.entries)
    for a, b in zip(from_cells.weights, from_vector.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, err_msg=a.path)


def golden_model():
    model = OnsetsFrames(num_filters=(8, 8, 16), fc_size=64, onset_lstm_units=24,
                         offset_lstm_units=24, combined_lstm_units=24)
    model.build(None)
    return model


def opaque(arrays):
    lstms = [f"{scope}/cudnn_lstm" for scope in ("onsets", "offsets", "frame")]
    return {**{name: value for name, value in arrays.items() if "/cudnn_lstm/" not in name},
            **{f"{scope}/opaque_kernel": packed(scope, arrays) for scope in lstms}}


def test_cudnns_opaque_vectors_give_the_same_weights_as_single_cells(arrays):
    from_cells, from_vectors = golden_model(), golden_model()
    checkpoints.load(from_cells, arrays, magenta.entries)
    checkpoints.load(from_vectors, opaque(arrays), magenta.entries)
    for a, b in zip(from_cells.weights, from_vectors.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=a.path)


def test_an_opaque_vector_of_another_size_is_named(arrays):
    short = opaque(arrays)
    short["frame/cudnn_lstm/opaque_kernel"] = short["frame/cudnn_lstm/opaque_kernel"][1:]
    with pytest.raises(ValueError, match=r"frame/cudnn_lstm/opaque_kernel \(\d+,\) cannot become"):
        checkpoints.load(golden_model(), short, magenta.entries)


def test_a_model_of_another_size_names_all_that_differs(arrays):
    model = OnsetsFrames(num_filters=(8, 8, 12), fc_size=64, onset_lstm_units=24,
                         offset_lstm_units=24, combined_lstm_units=0)
    model.build(None)
    with pytest.raises(ValueError) as raised:
        checkpoints.load(model, arrays, magenta.entries)
    for name in ("velocity/conv2/weights (3, 3, 8, 16) should be",
                 "frame/fc_end/weights (912, 64) should be", "left over in the checkpoint: "
                 "frame/cudnn_lstm/stack_bidirectional_rnn/cell_0/bidirectional_rnn/bw"):
        assert name in str(raised.value)
    assert "global_step" not in str(raised.value)
