"""What all our HTTP servers share: a socket and a thread for uvicorn, and bodies with a limit."""

import asyncio
import contextlib
import socket
import threading

from starlette.requests import ClientDisconnect

from style_transfer.serving.errors import (
    CancelledRequestError,
    OverloadedError,
    TimedOutError,
    TooLargeError,
)

HEADER_BYTES = 64 * 1024
KEEP_ALIVE_SECS = 15
MAX_CONNECTIONS = 256


def check_port(host, port, what, flag="--port"):
    """Raises ValueError if a port cannot be listened on; best before anything slow is loaded."""
    _bound(host, port, what, flag).close()


def _bound(host, port, what, flag):
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ValueError(f"Cannot serve {what} on {host} port {port}: {error.strerror}. "
                         f"Choose another {flag}.") from error
    return bound


class HttpThread:
    """An ASGI application served by uvicorn in a thread.

    Args:
        app: The application.
        host: Address to bind.
        port: Port, 0 for any free one.
        what: What is served, for the error.
        flag: The flag that chooses the port, for the error.

    Attributes:
        host: The address bound.
        port: The port bound.

    Raises:
        ValueError: The port is taken.
    """

    def __init__(self, app, host, port, what="HTTP", flag="--port"):
        import uvicorn

        self._socket = _bound(host, port, what, flag)
        self.host, self.port = self._socket.getsockname()[:2]
        self._server = uvicorn.Server(uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, timeout_keep_alive=KEEP_ALIVE_SECS,
            h11_max_incomplete_event_size=HEADER_BYTES, limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=5))
        # Signals are the main thread's business.
        self._server.capture_signals = contextlib.nullcontext
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],),
                                        name=what.lower(), daemon=True)

    def start(self):
        """Serves; returns when connections are accepted."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.02)

    def stop(self, force=False):
        """Closes the port.

        Args:
            force: Whether requests under way are cut off.
        """
        self._server.should_exit = True
        self._server.force_exit = force
        self._thread.join(10)
        self._socket.close()


class Bodies:
    """Reads requests' bodies, of which so many bytes are in memory at the same time.

    What has arrived counts, not how many arrive: a client at a byte a second keeps nobody out.

    Args:
        max_bytes: Largest body.
        count: How many of these may be in memory.
    """

    def __init__(self, max_bytes, count):
        self.max_bytes, self.left = max_bytes, max_bytes * count

    @contextlib.asynccontextmanager
    async def read(self, request, max_secs):
        """The body of a Starlette request, which counts as long as the block lasts.

        Args:
            request: A Starlette request.
            max_secs: How long it may take to arrive.

        Raises:
            TooLargeError: It is larger than allowed.
            TimedOutError: It arrives more slowly.
            OverloadedError: The bodies of others fill the memory.
            CancelledRequestError: The client hung up.
        """
        taken = 0

        def take(size):
            nonlocal taken
            if size > self.left:
                raise OverloadedError("Too much is being sent at the same time; try again later.")
            taken, self.left = taken + size, self.left - size

        try:
            yield await read_body(request, self.max_bytes, max_secs, take)
        finally:
            self.left += taken


async def read_body(request, max_bytes, max_secs, take=lambda size: None):
    """A request's body, as long as it is neither too large nor too slow.

    Args:
        request: A Starlette request.
        max_bytes: Largest body.
        max_secs: How long it may take to arrive.
        take: Called with the bytes of each part.

    Raises:
        TooLargeError: It is larger.
        TimedOutError: It arrives more slowly.
        CancelledRequestError: The client hung up.
    """
    too_large = TooLargeError(f"The body is larger than {max_bytes} bytes.")
    given = request.headers.get("content-length", "")
    if given.isdigit() and int(given[:20]) > max_bytes:
        raise too_large
    parts, size = [], 0

    async def read():
        nonlocal size
        async for part in request.stream():
            size += len(part)
            if size > max_bytes:
                raise too_large
            take(len(part))
            parts.append(part)

    try:
        await asyncio.wait_for(read(), max_secs)
    except asyncio.TimeoutError as error:
        raise TimedOutError(f"The body did not arrive within {max_secs:g} s.") from error
    except ClientDisconnect as error:
        raise CancelledRequestError("The client hung up while sending.") from error
    return b"".join(parts)
