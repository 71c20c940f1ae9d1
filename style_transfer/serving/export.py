"""Trained models -> SavedModels that an unmodified tensorflow_model_server loads."""

import pathlib

from style_transfer import files

VERSION_FILE = "saved_model.pb"
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
WEIGHTS_FOLDER = "assets.extra/style_transfer"
WARMUP_SECS = 2.0
# Registered in the wheel, but they need the Python process that made the graph.
PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})


def export(model, export_dir, serving, *, version=None, warm_up=True, report=lambda line: None,
           **limits):
    """Writes a model as the next version in a folder, whole or not at all.

    Args:
        model: A built model of a configuration.
        export_dir: The model's base folder, as tensorflow_model_server takes it.
        serving: What the configuration's `serving` gives: a class of modules with signatures.
        version: A number; None is one above the highest there is.
        warm_up: Whether requests are included that the server runs before it is ready.
        report: Called with a line of text for each step.
        **limits: `max_content_secs`, the longest piece that is played or recording that is
            transcribed, and `max_notes`; None for the model's own.

    Returns:
        Path of the version's folder.

    Raises:
        FileExistsError: The version exists.
        ValueError: The graph holds an op that a stock server does not have.
    """
    from style_transfer import weights

    module = serving(model, **given(limits))
    export_dir = pathlib.Path(export_dir)
    export_dir.mkdir(parents=True, exist_ok=True)
    version = next_version(export_dir) if version is None else version
    target = export_dir / str(version)
    if target.exists():
        raise FileExistsError(f"Version {version} exists in {str(export_dir)!r}. Choose another.")
    # A server that watches the folder takes numbers only.
    with files.staging(export_dir) as staged:
        partial = staged / "version"
        report("tracing the graph")
        signatures = module.signatures()
        report("writing")
        save_graph(module, signatures, partial)
        check_ops(partial)
        # For what a graph cannot do: the embedded server adapts pianos with these.
        weights.save(model, partial / WEIGHTS_FOLDER, getattr(model, "weights_name", "unnamed"))
        if warm_up:
            write_warm_up(partial, export_dir.name, signatures)
        partial.chmod(0o755)  # the server may be another user
        files.publish(partial, target)
    return target


def save_graph(module, signatures, folder):
    """Writes a SavedModel.

    Args:
        module: A module with signatures, whose `kept` variables they read.
        signatures: Its concrete functions by name.
        folder: Where to.
    """
    import tensorflow as tf

    # Only what the signatures read: a Keras model would add signatures of its own.
    root = tf.Module()
    root.kept = module.kept
    tf.saved_model.save(root, str(folder), signatures=signatures,
                        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False))


def next_version(export_dir):
    """One above the highest version in a folder, 1 if there is none."""
    return 1 + max((int(path.name) for path in pathlib.Path(export_dir).iterdir()
                    if path.name.isdigit()), default=0)


def graph_ops(version_dir):
    """Names of all ops in a SavedModel, those of its function library included.

    Args:
        version_dir: Folder of one version.

    Returns:
        Set of names; functions of the library that nodes call by name are left out.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    data = (pathlib.Path(version_dir) / VERSION_FILE).read_bytes()
    ops = set()
    for meta_graph in saved_model_pb2.SavedModel.FromString(data).meta_graphs:
        library = meta_graph.graph_def.library.function
        ops.update(node.op for node in meta_graph.graph_def.node)
        for function in library:
            ops.update(node.op for node in function.node_def)
        ops.difference_update(function.signature.name for function in library)
    return ops


def check_ops(version_dir):
    """Raises ValueError if a SavedModel holds an op that a stock server does not have."""
    foreign = sorted(op for op in graph_ops(version_dir) if op in PYTHON_OPS or not is_core_op(op))
    if foreign:
        raise ValueError(f"The graph cannot be served: it holds {', '.join(foreign)}, which "
                         "tensorflow_model_server does not have.")


def is_core_op(name):
    """Whether TensorFlow's own library has the op; those of add-ons are never in `raw_ops`."""
    import tensorflow as tf

    return hasattr(tf.raw_ops, name)


def write_warm_up(version_dir, model_name, signatures):
    """Writes `warm_up_requests` where a server looks for them.

    Args:
        version_dir: Folder of the version.
        model_name: Name in requests.
        signatures: Concrete functions by name.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    requests = warm_up_requests(signatures)
    if not requests:
        return
    path = pathlib.Path(version_dir) / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def warm_up_requests(signatures):
    """A dict of inputs for each signature that takes files, and numbers at most beside them.

    Args:
        signatures: Concrete functions by name.
    """
    import numpy as np

    recording, content = warm_up_inputs()
    files = {"style_bytes": [recording], "audio_bytes": [recording], "content_bytes": [content]}
    known = {**files, "seed": np.zeros(1, np.int32), "temperature": np.ones(1, np.float32),
             "sustain_temperature": np.ones(1, np.float32), "piano_id": np.zeros(1, np.int32)}
    wanted = {name: input_specs(function) for name, function in signatures.items()}
    return {name: {key: known[key] for key in inputs} for name, inputs in wanted.items()
            if inputs.keys() <= known.keys() and inputs.keys() & files.keys()}


def input_specs(function):
    """`TensorSpec`s of a concrete function's inputs by name, of this process or loaded."""
    positional, named = function.structured_input_signature
    return {**{spec.name: spec for spec in positional}, **named}


def warm_up_inputs():
    """A short WAV file of three struck notes and a NoteSequence of two, as bytes."""
    import io

    import numpy as np
    import soundfile
    from note_seq.protobuf import music_pb2

    rate = 24_000
    time = np.arange(int(WARMUP_SECS * rate) + 1) / rate
    samples = sum(np.exp(-(2 + k) * time) * np.sin(2 * np.pi * hz * k * time) / k
                  for hz in (220.0, 277.18, 329.63) for k in range(1, 6))
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * samples, rate, format="WAV", subtype="PCM_16")
    sequence = music_pb2.NoteSequence(total_time=0.5)
    for pitch in (60, 64):
        sequence.notes.add(pitch=pitch, velocity=80, start_time=0.0, end_time=0.5)
    return buffer.getvalue(), sequence.SerializeToString()


def given(limits):
    """The limits that are not None."""
    return {name: value for name, value in limits.items() if value is not None}
