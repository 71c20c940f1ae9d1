"""The page and what it calls, over HTTP."""

import asyncio
import json
import pathlib

import fastapi
import fastapi.exceptions
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.staticfiles import StaticFiles

from style_transfer.serving.app.guard import Guard
from style_transfer.serving.app.uploads import ROLES
from style_transfer.serving.errors import InvalidRequestError, NotFoundError, RequestError
from style_transfer.serving.server.http import Bodies, read_body
from style_transfer.serving.server.rest import error_response

WEB = pathlib.Path(__file__).parent / "web"
JSON_BYTES = 1 << 16
FILE_KINDS = ("audio", "notes", "piano", "spectrogram", "style_spectrogram", "style", "recording",
              "sfz", "truth")
ENDINGS = {"audio": ".wav", "notes": ".mid", "piano": ".piano", "sfz": ".sfz.zip"}
EVENT_SECS = 0.25
FIT = ("style_notes", "steps", "seed", "voicing")
# What changes with a new release must not be taken from the browser's cache.
_FRESH = {"Cache-Control": "no-cache"}
_PRIVATE = {"Cache-Control": "no-store"}


def make_app(service, allowed_hosts=()):
    """The ASGI application.

    Args:
        service: A `Service`.
        allowed_hosts: See `Guard`.
    """
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)
    _add_errors(app)
    limits = service.limits
    bodies = Bodies(limits.body_bytes, service.light.capacity)

    async def in_thread(function, *args):
        """Runs what takes moments, as much at once as is bearable."""
        with service.light.admitted():
            return await asyncio.wrap_future(service.light.submit(function, *args))

    async def read_json(request):
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise InvalidRequestError("Send JSON, as application/json.")
        data = await read_body(request, JSON_BYTES, limits.read_secs)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError("The request is no JSON.") from error
        if not isinstance(value, dict):
            raise InvalidRequestError("The request must be a JSON object.")
        return value

    @app.get("/")
    def page():
        return FileResponse(WEB / "index.html", headers=_FRESH)

    @app.get("/healthz")
    def healthz():
        return {"status": "alive"}

    @app.get("/api/about")
    def about():
        return service.about()

    @app.post("/api/uploads")
    async def upload(request: fastapi.Request, role: str, name: str = ""):
        if role not in ROLES:
            raise InvalidRequestError(f"role must be one of {', '.join(ROLES)}.")
        service.light.check()
        async with bodies.read(request, limits.read_secs) as data:
            return await in_thread(service.upload, data, name, role)

    @app.get("/api/uploads/{key}")
    def about_upload(key: str):
        return service.about_upload(key)

    @app.post("/api/jobs")
    async def start(request: fastapi.Request):
        given = await read_json(request)
        return {"job": await _called(service.start, given, ("content", "style"),
                                     (*FIT, "transpose", "tempo", "tracks",
                                      "method"))}

    @app.post("/api/instruments")
    async def instrument(request: fastapi.Request):
        return {"job": await _called(service.instrument, await read_json(request), ("style",),
                                     (*FIT, "full"))}

    @app.post("/api/jobs/{key}/replay")
    async def replay(key: str, request: fastapi.Request):
        given = await read_json(request)
        return {"job": await _called(service.replay, {"base": key, **given},
                                     ("base", "voicing"), ("seed",))}

    @app.post("/api/jobs/{key}/preview")
    async def preview(key: str, request: fastapi.Request):
        given = await read_json(request)
        return await in_thread(service.preview, key, given.get("voicing"))

    @app.get("/api/jobs/{key}")
    def state(key: str):
        job = service.jobs.get(key)
        job.seen()
        return JSONResponse(job.about(), headers=_PRIVATE)

    @app.get("/api/jobs/{key}/events")
    async def events(key: str, request: fastapi.Request):
        job = service.jobs.get(key)
        return StreamingResponse(_events(job, request), media_type="text/event-stream",
                                 headers=_PRIVATE)

    @app.delete("/api/jobs/{key}")
    def cancel(key: str):
        service.cancel(key)
        return {}

    @app.get("/api/jobs/{key}/result")
    async def result(key: str):
        return await in_thread(service.result, key)

    @app.get("/api/jobs/{key}/samples/{name}")
    def sample(key: str, name: str):
        return FileResponse(service.sample(key, name), headers=_PRIVATE)

    @app.get("/api/jobs/{key}/{kind}")
    def file(key: str, kind: str, download: bool = False):
        if kind not in FILE_KINDS:
            raise NotFoundError("There is no such file.")
        path, media = service.file(key, kind)
        if not path.is_file():
            raise NotFoundError("There is no such file.")
        name = f"{service.jobs.get(key).name}{ENDINGS.get(kind, path.suffix)}" if download else None
        return FileResponse(path, media_type=media, filename=name, headers=_PRIVATE)

    app.mount("/static", StaticFiles(directory=WEB))
    return app


async def _events(job, request):
    """What a job tells, as server-sent events, until it has ended or nobody listens any more."""
    with job.watched():
        told, running = None, True
        while running and not await request.is_disconnected():
            running = job.in_use
            if told != (told := json.dumps(job.about())):
                yield f"data: {told}\n\n"
            if running:
                await asyncio.sleep(EVENT_SECS)


async def _called(function, given, required, optional):
    missing = [name for name in required if name not in given]
    unknown = sorted(set(given) - {*required, *optional})
    if missing or unknown:
        raise InvalidRequestError(f"In the request {', '.join(missing) or 'nothing'} is missing, "
                                  f"{', '.join(unknown)[:100] or 'nothing'} is unknown.")
    return await asyncio.to_thread(lambda: function(**given))


def _add_errors(app):
    @app.exception_handler(RequestError)
    async def on_request_error(request, error):
        return error_response(error)

    @app.exception_handler(fastapi.exceptions.RequestValidationError)
    async def on_bad_query(request, error):
        return error_response(InvalidRequestError("The address lacks something, or has it wrong."))

    @app.exception_handler(Exception)
    async def on_fault(request, error):
        return error_response(RequestError("The server failed; its log says why."))

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def on_unknown(request, error):
        return JSONResponse({"error": "There is nothing at this address."}, error.status_code)
