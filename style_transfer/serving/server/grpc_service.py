"""TensorFlow Serving's gRPC services, on its own protos."""

import concurrent.futures
import hmac
import logging

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from style_transfer.serving.errors import DeadlineExceededError, InvalidRequestError, RequestError
from style_transfer.serving.server import stopping, wire

_LOG = logging.getLogger(__name__)
_UNDER_WAY = 8  # calls beyond the gate's places that may be told so


class _Handlers:
    def __init__(self, models, gate, limits, metrics):
        self.models, self.gate, self.limits, self.metrics = models, gate, limits, metrics

    def predict(self, request, context):
        started, signature, code, outputs = self.metrics.start(), "", "INTERNAL", None
        try:
            model = self._model(request.model_spec)
            asked = request.model_spec.signature_name or wire.DEFAULT_SIGNATURE
            model.inputs_of(asked)
            signature = asked
            with self.gate.admitted():
                inputs = {name: _array(name, proto) for name, proto in request.inputs.items()}
                stop = stopping.Stop()
                outputs = self._result(
                    self.gate.submit(model.predict, signature, inputs, stop), stop, context)
            response = predict_pb2.PredictResponse()
            self._fill_spec(response.model_spec, model, signature)
            wanted = set(request.output_filter)
            if unknown := wanted - set(outputs):
                raise InvalidRequestError(
                    f"There are no outputs {', '.join(sorted(unknown))}; there "
                    f"are {', '.join(sorted(outputs))}.")
            for name, value in outputs.items():
                if not wanted or name in wanted:
                    response.outputs[name].CopyFrom(_proto(value))
            code = "OK"
            return response
        except RequestError as error:
            code = error.grpc_code
            context.abort(getattr(grpc.StatusCode, error.grpc_code), str(error))
        except Exception:
            _LOG.exception("A gRPC call failed")
            context.abort(grpc.StatusCode.INTERNAL, "The server failed; its log says why.")
        finally:
            self.metrics.finish(started, "grpc", signature, code, outputs)

    def metadata(self, request, context):
        from google.protobuf import json_format

        try:
            model = self._model(request.model_spec)
            if list(request.metadata_field) != ["signature_def"]:
                raise InvalidRequestError('metadata_field must be ["signature_def"].')
        except RequestError as error:
            context.abort(getattr(grpc.StatusCode, error.grpc_code), str(error))
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name in model.signature_names:
            described = wire.signature_json(model.inputs_of(name), model.outputs_of(name))
            json_format.ParseDict(described, signatures.signature_def[name],
                                  ignore_unknown_fields=True)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        self._fill_spec(response.model_spec, model, "")
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request, context):
        try:
            version = self._version(request.model_spec)
            name = request.model_spec.name
            found = self.models.versions(name) if version is None else [
                self.models.get(name, version).version]
        except RequestError as error:
            context.abort(getattr(grpc.StatusCode, error.grpc_code), str(error))
        response = get_model_status_pb2.GetModelStatusResponse()
        for number in found:
            response.model_version_status.add(
                version=number, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        return response

    def _model(self, spec):
        return self.models.get(spec.name, self._version(spec))

    def _version(self, spec):
        if spec.version_label:
            raise InvalidRequestError("Version labels are not supported; name a version or none.")
        return spec.version.value if spec.HasField("version") else None

    def _fill_spec(self, spec, model, signature):
        spec.name, spec.signature_name = model.name, signature
        spec.version.value = model.version

    def _result(self, future, stop, context):
        gone = concurrent.futures.Future()
        context.add_callback(lambda: gone.set_result(None))
        concurrent.futures.wait([future, gone], self.limits.compute_secs,
                                concurrent.futures.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if not future.cancel():  # it runs: it keeps its place until it has ended, which is soon
            stop.set()
            self.gate.keep_place_until_done(future)
        raise DeadlineExceededError("The call ended before the answer was there.")


def make_server(models, gate, limits, metrics, token=None):
    """A `grpc.Server` without a port yet.

    Args:
        models: `Models`.
        gate: `Gate` that REST and gRPC share.
        limits: `Limits`.
        metrics: `Metrics`.
        token: Bearer token that calls must carry, or None.
    """
    threads = gate.capacity + _UNDER_WAY
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(threads, "grpc"),
        interceptors=[_TokenCheck(token)] if token is not None else [],
        maximum_concurrent_rpcs=threads,
        options=[("grpc.max_receive_message_length", limits.body_bytes),
                 ("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 16 * 1024),
                 # Two servers on one port would each answer some of the calls.
                 ("grpc.so_reuseport", 0)])
    handlers = _Handlers(models, gate, limits, metrics)
    prediction = prediction_service_pb2_grpc.PredictionServiceServicer()
    prediction.Predict, prediction.GetModelMetadata = handlers.predict, handlers.metadata
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    status = model_service_pb2_grpc.ModelServiceServicer()
    status.GetModelStatus = handlers.status
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(status, server)
    return server


class _TokenCheck(grpc.ServerInterceptor):
    def __init__(self, token):
        self.expected = f"Bearer {token}".encode()

        def refuse(request, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "The bearer token is missing or wrong. "
                          "Send the metadata 'authorization: Bearer TOKEN'.")

        self.refusal = grpc.unary_unary_rpc_method_handler(refuse)

    def intercept_service(self, continuation, details):
        given = dict(details.invocation_metadata).get("authorization", "")
        if hmac.compare_digest(given.encode("utf-8", "replace"), self.expected):
            return continuation(details)
        return self.refusal


def _array(name, proto):
    """A TensorProto as an array, checked before anything large is made of it."""
    import tensorflow as tf

    dims = [dim.size for dim in proto.tensor_shape.dim]
    held = max(len(proto.tensor_content) // 4, len(proto.float_val), len(proto.int_val),
               len(proto.string_val), len(proto.double_val), len(proto.int64_val))
    count = 1
    for size in dims:
        count *= max(size, 0) if size >= 0 else 2**62
    # One value may stand for all of a tensor, which would let a few bytes fill the memory.
    if count > max(held, 1) or proto.tensor_shape.unknown_rank:
        raise InvalidRequestError(
            f"The input {name!r} says it has shape {dims} but holds {held} "
            "values.")
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, OverflowError, KeyError, AttributeError) as error:
        raise InvalidRequestError(
            f"The input {name!r} is no tensor of a known type "
            f"({str(error)[:200]}).") from error


def _proto(value):
    import tensorflow as tf

    if value.dtype == object:
        return tf.make_tensor_proto(list(value), tf.string, list(value.shape))
    return tf.make_tensor_proto(value)
