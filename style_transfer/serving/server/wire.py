"""TensorFlow Serving's JSON <-> NumPy arrays.

Bytes travel as `{"b64": "..."}`; outputs whose names end in `_bytes` are bytes.
"""

import base64
import binascii
import json

import numpy as np

from style_transfer.serving.errors import InvalidRequestError

DEFAULT_SIGNATURE = "serving_default"
_FORM = ('Expected {"instances": [{...}, ...]} or {"inputs": {...}}, with bytes as '
         '{"b64": "..."}.')
_TYPES = {object: "DT_STRING", np.float32: "DT_FLOAT", np.int32: "DT_INT32"}


def parse(body):
    """A request's body.

    Args:
        body: Bytes.

    Returns:
        Signature's name, inputs (dict, or the bare value of the only input), and whether they
        came as instances, so that the answer does too.

    Raises:
        InvalidRequestError: It is no such JSON.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:200]
        if isinstance(error, (RecursionError, UnicodeDecodeError)):
            reason = ("nested too deep" if isinstance(error, RecursionError)
                      else "its letters are not UTF-8")
        raise InvalidRequestError(f"The body is not JSON ({reason}). {_FORM}") from error
    if not isinstance(request, dict):
        raise InvalidRequestError(f"The body is no JSON object. {_FORM}")
    signature = request.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(signature, str):
        raise InvalidRequestError("signature_name must be a string.")
    if ("instances" in request) == ("inputs" in request):
        raise InvalidRequestError(f"The body has both or none of instances and inputs. {_FORM}")
    try:
        if "instances" in request:
            return signature or DEFAULT_SIGNATURE, _columns(request["instances"]), True
        inputs = _decoded(request["inputs"])
    except RecursionError as error:
        raise InvalidRequestError(f"The body is nested too deep. {_FORM}") from error
    return signature or DEFAULT_SIGNATURE, inputs, False


def named(inputs, names):
    """Inputs by name; a bare value belongs to the only input there is.

    Raises:
        InvalidRequestError: There are several.
    """
    if isinstance(inputs, dict):
        return inputs
    if len(names) != 1:
        raise InvalidRequestError(
            f"The signature has the inputs {', '.join(sorted(names))}: name each value. {_FORM}")
    return {next(iter(names)): inputs}


def answer(outputs, as_instances):
    """The body of an answer, as bytes.

    Args:
        outputs: Dict of NumPy arrays, batch first.
        as_instances: Whether the request had `instances`.
    """
    columns = {name: _encoded(name, value) for name, value in outputs.items()}
    if not as_instances:
        value = columns if len(columns) > 1 else next(iter(columns.values()))
        return json.dumps({"outputs": value}).encode()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if len(columns) == 1:
        rows = next(iter(columns.values()))
    return json.dumps({"predictions": rows}).encode()


def signature_json(inputs, outputs):
    """A signature as the metadata endpoint describes it."""
    def tensors(specs):
        return {name: {"dtype": _TYPES[dtype], "name": name, "tensor_shape": {
            "dim": [{"size": str(-1 if size is None else size), "name": ""} for size in shape],
            "unknown_rank": False}} for name, (shape, dtype) in specs.items()}

    return {"inputs": tensors(inputs), "outputs": tensors(outputs),
            "method_name": "tensorflow/serving/predict", "defaults": {}}


def _columns(instances):
    if not isinstance(instances, list) or not instances:
        raise InvalidRequestError(f"instances must be a list of at least one item. {_FORM}")
    rows = [_decoded(row) for row in instances]
    if not any(isinstance(row, dict) for row in rows):
        return rows
    names = set(rows[0]) if isinstance(rows[0], dict) else None
    if not all(isinstance(row, dict) and set(row) == names for row in rows):
        raise InvalidRequestError("All instances must have the same inputs.")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _decoded(value):
    if isinstance(value, dict):
        if set(value) == {"b64"}:
            return _from_base64(value["b64"])
        return {name: _decoded(item) for name, item in value.items()}
    if isinstance(value, list):
        # Numbers are by far the most of what is sent, and need nothing.
        plain = not any(isinstance(item, (dict, list, str)) for item in value)
        return value if plain else [_decoded(item) for item in value]
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def _from_base64(text):
    if not isinstance(text, str):
        raise InvalidRequestError('{"b64": ...} must hold a string.')
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError('{"b64": ...} holds no base64: encode the '
                                  "bytes again.") from error


def _encoded(name, value):
    if value.dtype != object:
        return value.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return [item.decode("utf-8", "replace") for item in value]
