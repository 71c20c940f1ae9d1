"""TensorFlow Serving's REST interface."""

import asyncio
import hmac

import fastapi
from fastapi.responses import JSONResponse, Response

from style_transfer.serving.errors import (
    CancelledRequestError,
    DeadlineExceededError,
    NotFoundError,
    RequestError,
    UnauthenticatedError,
)
from style_transfer.serving.server import metrics as metrics_lib
from style_transfer.serving.server import stopping, wire
from style_transfer.serving.server.http import Bodies

DISCONNECT_POLL_SECS = 0.25
_OPEN_PATHS = ("/healthz", "/readyz")
_MODEL = "/v1/models/{name}"
_VERSIONS = (_MODEL + "/versions/{version}", _MODEL)


def make_app(models, gate, limits, metrics, token=None):
    """The ASGI application.

    Args:
        models: `Models`.
        gate: `Gate` that REST and gRPC share.
        limits: `Limits`.
        metrics: `Metrics`.
        token: Bearer token that requests must carry, or None.
    """
    # The documentation pages would load scripts from elsewhere.
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    bodies = Bodies(limits.body_bytes, gate.capacity)

    if token is not None:
        app.add_middleware(TokenCheck, token=token)

    @app.exception_handler(RequestError)
    async def on_request_error(request, error):
        return error_response(error)

    @app.exception_handler(Exception)
    async def on_fault(request, error):
        return error_response(RequestError("The server failed; its log says why."))

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def on_unknown(request, error):
        return JSONResponse({"error": f"There is nothing at {request.method} "
                                      f"{request.url.path[:200]}."}, error.status_code)

    @app.get("/healthz")
    async def healthz():
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz():
        return JSONResponse({"status": "ready" if gate.is_open else "shutting down"},
                            200 if gate.is_open else 503)

    @app.get("/metrics")
    @app.get("/monitoring/prometheus/metrics")
    async def get_metrics():
        return Response(metrics.text(), media_type=metrics_lib.CONTENT_TYPE)

    def status(name: str, version: str | None = None):
        found = models.versions(name) if version is None else [
            models.get(name, _number(version)).version]
        return {"model_version_status": [
            {"version": str(number), "state": "AVAILABLE",
             "status": {"error_code": "OK", "error_message": ""}} for number in found]}

    def metadata(name: str, version: str | None = None):
        model = models.get(name, _number(version))
        signatures = {signature: wire.signature_json(model.inputs_of(signature),
                                                     model.outputs_of(signature))
                      for signature in model.signature_names}
        return {"model_spec": {"name": name, "signature_name": "",
                               "version": str(model.version)},
                "metadata": {"signature_def": {"signature_def": signatures}}}

    async def predict(request: fastapi.Request, name: str, version: str | None = None):
        started, signature, code, outputs = metrics.start(), "", "INTERNAL", None
        try:
            model = models.get(name, _number(version))
            gate.check()
            # A client that sends slowly takes no place; what it has sent counts.
            async with bodies.read(request, limits.read_secs) as body:
                with gate.admitted():
                    signature_given, inputs, as_instances = await asyncio.to_thread(
                        wire.parse, body)
                    del body
                    names = model.inputs_of(signature_given)
                    signature, stop = signature_given, stopping.Stop()
                    future = gate.submit(model.predict, signature, wire.named(inputs, names), stop)
                    del inputs
                    outputs = await _result(future, stop, request, gate, limits)
                    answer = await asyncio.to_thread(wire.answer, outputs, as_instances)
            code = "OK"
            return Response(answer, media_type="application/json")
        except RequestError as error:
            code = error.grpc_code
            raise
        finally:
            metrics.finish(started, "rest", signature, code, outputs)

    for path in _VERSIONS:
        app.post(path + ":predict")(predict)
        app.get(path + "/metadata")(metadata)
        app.get(path)(status)
    return app


class TokenCheck:
    """Lets requests through that carry the bearer token, and those about health.

    Args:
        app: The ASGI application behind.
        token: What they must carry.
    """

    def __init__(self, app, token):
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope, receive, send):
        """Passes a request on or refuses it."""
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["path"] in _OPEN_PATHS or hmac.compare_digest(given, self.expected):
            await self.app(scope, receive, send)
        else:
            await error_response(UnauthenticatedError(
                "The bearer token is missing or wrong. Send 'Authorization: Bearer TOKEN'."))(
                    scope, receive, send)


def error_response(error):
    """The answer to a request that cannot be served."""
    headers = {"Retry-After": "1"} if error.http_status in (429, 503) else None
    return JSONResponse({"error": str(error)}, error.http_status, headers)


def _number(version):
    if version is None:
        return None
    if not (version.isascii() and version.isdigit() and len(version) < 19):
        raise NotFoundError(f"There is no version {version[:40]!r}: versions are numbers.")
    return int(version)


async def _result(future, stop, request, gate, limits):
    """The result of a future; its work ends where nobody waits for it any more."""
    waiting = asyncio.wrap_future(future)
    loop = asyncio.get_running_loop()
    until = loop.time() + limits.compute_secs
    try:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=DISCONNECT_POLL_SECS)
            if done:
                return waiting.result()
            if await request.is_disconnected():
                raise CancelledRequestError("The client hung up.")
            if loop.time() > until:
                raise DeadlineExceededError(
                    f"The answer took longer than {limits.compute_secs:g} s.")
    finally:
        # What already runs keeps its place until it has ended, which is soon.
        if not future.done() and not future.cancel():
            stop.set()
            gate.keep_place_until_done(future)
