"""Served models: SavedModels from a folder, or trained weights traced in this process."""

import concurrent.futures
import pathlib
import threading

import numpy as np

from style_transfer.serving import cache, export
from style_transfer.serving.errors import InvalidRequestError, NotFoundError, RequestError
from style_transfer.serving.server import adapting, stopping

# Errors of a graph that the request caused.
_CLIENT_ERRORS = ("INVALID_ARGUMENT", "DATA_LOSS", "OUT_OF_RANGE", "FAILED_PRECONDITION")


class ServedModel:
    """One version of a model.

    Args:
        name: Name in requests.
        version: Int.
        functions: Concrete functions by signature.
        model: A function that gives the Keras model, for adaptation, or None.
        limits: `Limits`.
        owner: Anything that must stay alive with the functions.
    """

    def __init__(self, name, version, functions, limits, model=None, owner=None):
        self.name, self.version, self.limits, self.owner = name, version, limits, owner
        self.functions = functions
        # What is adapted is what `play` takes.
        can_adapt = model is not None and "play" in functions
        self.adapter = adapting.AdaptSignature(model, limits) if can_adapt else None

    @property
    def signature_names(self):
        """Names that `predict` takes."""
        return sorted([*self.functions, *([adapting.NAME] if self.adapter else [])])

    def inputs_of(self, signature):
        """Specs of a signature's inputs: dict of name to (shape, NumPy dtype)."""
        if signature == adapting.NAME and self.adapter:
            return adapting.INPUTS
        specs = export.input_specs(self._function(signature))
        return {name: (tuple(spec.shape.as_list()), spec.dtype.as_numpy_dtype)
                for name, spec in specs.items()}

    def outputs_of(self, signature):
        """Specs of a signature's outputs, as `inputs_of`."""
        if signature == adapting.NAME and self.adapter:
            return self.outputs_of("encode_style")
        specs = self._function(signature).structured_outputs
        return {name: (tuple(spec.shape.as_list()), spec.dtype.as_numpy_dtype)
                for name, spec in specs.items()}

    def predict(self, signature, inputs, stop=None):
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: Dict of NumPy arrays, batch first.
            stop: `Stop` by which another thread ends it, or None.

        Returns:
            Dict of NumPy arrays.

        Raises:
            NotFoundError: There is no such signature.
            InvalidRequestError: The inputs do not fit, or the graph refused them.
            CancelledRequestError: It was ended.
        """
        import tensorflow as tf

        stop = stop or stopping.Stop()

        inputs = self._checked(signature, inputs)
        self.limits.check(inputs)
        if signature == adapting.NAME and self.adapter:
            return self.adapter(inputs, stop)
        tensors = {name: tf.constant(list(value) if value.dtype == object else value)
                   for name, value in inputs.items()}
        try:
            outputs = stop.run(self._function(signature), **tensors)
        except tf.errors.OpError as error:
            code = _code_name(error)
            message = _cause(str(error.message))
            kind = InvalidRequestError if code in _CLIENT_ERRORS else RequestError
            raise kind(message) from error
        return {name: value.numpy() for name, value in outputs.items()}

    def warm_up(self):
        """Runs signatures once on something short, since the first call takes seconds."""
        requests = export.warm_up_requests(self.functions)
        # A graph is made ready by one thread, and several of them at a time.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = dict(zip(requests, pool.map(self.predict, requests, requests.values()),
                               strict=True))
        if "encode_style" in answers and "play" in self.functions:
            _, content = export.warm_up_inputs()
            self.predict("play", {"content_bytes": [content], **answers["encode_style"]})

    def _function(self, signature):
        if signature not in self.functions:
            raise NotFoundError(
                f"There is no signature {signature!r}; there are "
                f"{', '.join(self.signature_names)}.")
        return self.functions[signature]

    def _checked(self, signature, inputs):
        specs = self.inputs_of(signature)
        if missing := sorted(set(specs) - set(inputs) - set(adapting.OPTIONAL)):
            raise InvalidRequestError(
                f"The inputs {', '.join(missing)} of signature {signature!r} are "
                "missing.")
        if surplus := sorted(set(inputs) - set(specs)):
            raise InvalidRequestError(
                f"Signature {signature!r} has no inputs {', '.join(surplus)}; it "
                f"has {', '.join(sorted(specs))}.")
        checked = {name: as_array(name, value, *specs[name]) for name, value in inputs.items()}
        sizes = {name: len(value) for name, value in checked.items()}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            raise InvalidRequestError(
                "All inputs must have the same number of items, at least one; got "
                f"{sizes}.")
        return checked


def as_array(name, value, shape, dtype):
    """`value` as the array that an input takes.

    Raises:
        InvalidRequestError: Its type or shape does not fit.
    """
    try:
        array = np.asarray(value)
        if dtype is object:
            if not all(isinstance(item, bytes) for item in np.asarray(value, object).ravel()):
                raise TypeError("it holds something else than bytes; send {\"b64\": ...}")
            # A NumPy array of bytes drops zero bytes at the end, a list does not.
            array = np.array(value, object)
        elif array.dtype.kind not in "iuf" or (dtype == np.int32 and array.size
                                               and array.dtype.kind == "f"):
            raise TypeError(f"it holds no {np.dtype(dtype).name}")
        else:
            with np.errstate(all="ignore"):
                kept = array.astype(dtype)
            if dtype == np.int32 and np.any(kept != array):
                raise TypeError("it holds numbers beyond int32")
            array = kept
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise InvalidRequestError(f"The input {name!r} does not fit: {error}.") from error
    fits = len(array.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ["batch" if i == 0 else "any" if s is None else s for i, s in enumerate(shape)]
        raise InvalidRequestError(
            f"The input {name!r} has shape {list(array.shape)}, expected "
            f"{wanted}.".replace("'", ""))
    return array


class Models:
    """All models that a server has.

    Args:
        served: List of `ServedModel`.
    """

    def __init__(self, served):
        self._served = {(model.name, model.version): model for model in served}
        if len(self._served) != len(served):
            raise ValueError("Two models have one name and version: "
                             + ", ".join(f"{m.name} {m.version}" for m in served) + ".")
        if not self._served:
            raise ValueError("There is no model to serve.")

    def versions(self, name):
        """Versions of a model, newest first; raises NotFoundError if there is no such model."""
        found = sorted((v for n, v in self._served if n == name), reverse=True)
        if not found:
            names = ", ".join(sorted({n for n, _ in self._served}))
            raise NotFoundError(f"There is no model {str(name)[:80]!r}; there is {names}.")
        return found

    def get(self, name, version=None):
        """One `ServedModel`, the newest if `version` is None."""
        versions = self.versions(name)
        version = versions[0] if version is None else version
        if version not in versions:
            raise NotFoundError(
                f"The model {name!r} has no version {version}; it has "
                f"{', '.join(map(str, versions))}.")
        return self._served[name, version]


def from_model(name, model, serving, limits):
    """A `ServedModel` of a Keras model in memory, version 1.

    Args:
        name: Name in requests.
        model: The model with its weights.
        serving: See `export.export`.
        limits: `Limits`.
    """
    longest = limits.content_secs
    if hasattr(serving, "longest_secs"):
        longest = min(longest, serving.longest_secs(model))
    module = serving(model, max_content_secs=longest, max_notes=limits.notes)
    return ServedModel(name, 1, module.signatures(), limits, model=lambda: model, owner=module)


def from_weights(name, config, weights_name, limits, report, keeps=True):
    """A `ServedModel` of trained weights, version 1, whose graphs are traced once on a machine.

    Args:
        name: Name in requests.
        config: A `configs.Config`.
        weights_name: See `models.base.load_weights`.
        limits: `Limits`.
        report: Called with a line of text for each step that takes seconds.
        keeps: Whether graphs are read from, and kept in, `serving.cache`.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: They are of another model.
    """
    from style_transfer import weights
    from style_transfer.models import base

    @_once
    def model():
        report(f"loading the weights of {name}")
        return base.load_weights(config, weights_name)

    def traced():
        report(f"tracing {name}")
        return from_model(name, model(), config.serving(), limits)

    given = weights_name or config.weights
    # Code that is not of this package may change without the key.
    if not keeps or config.package != "style_transfer" or given is None:
        return traced()
    key = cache.key(config, weights.folder(given), content_secs=limits.content_secs,
                    notes=limits.notes)

    def kept(folder):
        import tensorflow as tf

        report(f"loading the graphs of {name}")
        loaded = tf.saved_model.load(str(folder))
        return ServedModel(name, 1, dict(loaded.signatures), limits, model=model, owner=loaded)

    served = cache.find(key, kept)
    if served is None:
        served = traced()
        report(f"keeping the graphs of {name} for the next start")
        cache.keep(key, lambda folder: export.save_graph(served.owner, served.functions, folder))
    return served


def from_export(export_dir, limits, name=None):
    """`ServedModel`s of the versions in a model's base folder.

    Args:
        export_dir: As `style_transfer_export` wrote it.
        limits: `Limits`.
        name: Name in requests; None takes the folder's.

    Returns:
        List with the newest version, as tensorflow_model_server serves it.

    Raises:
        FileNotFoundError: There is no exported model.
    """
    import tensorflow as tf

    folder = pathlib.Path(export_dir)
    versions = sorted((int(path.parent.name) for path in folder.glob(f"*/{export.VERSION_FILE}")
                       if path.parent.name.isdigit()), reverse=True)
    if not versions:
        raise FileNotFoundError(f"There is no exported model in {str(folder)!r}. Make one with "
                                "style_transfer_export.")
    path = folder / str(versions[0])
    loaded = tf.saved_model.load(str(path))
    kept = path / export.WEIGHTS_FOLDER
    model = _once(lambda: _load_weights(kept)) if kept.is_dir() else None
    return [ServedModel(name or folder.resolve().name, versions[0], dict(loaded.signatures),
                        limits, model=model, owner=loaded)]


def _load_weights(folder):
    from style_transfer import weights

    return weights.load(folder)


def _once(function):
    """`function` called at most once, by whichever thread comes first."""
    lock, results = threading.Lock(), []

    def call():
        with lock:
            if not results:
                results.append(function())
        return results[0]

    return call


def _code_name(error):
    import tensorflow as tf

    codes = {value: name for name, value in vars(tf.errors).items()
             if name.isupper() and isinstance(value, int)}
    return codes.get(error.error_code, "UNKNOWN")


def _cause(message):
    """What a graph's error says, without TensorFlow's account of where."""
    lines = [line.strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(
        ("Graph execution error", "Detected at", "File ", "[[", "0 ", "(0)", "(1)"))]
    for line in lines:
        if line.startswith("assertion failed:"):
            text = line[len("assertion failed:"):].strip()
            return text.removeprefix("[").split("] [")[0].removesuffix("]")
    return (lines[0] if lines else "The model failed.")[:500]
