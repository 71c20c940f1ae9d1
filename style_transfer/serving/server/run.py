"""Starting and stopping the two interfaces together."""

import logging

from style_transfer.serving.server.gate import Gate
from style_transfer.serving.server.grpc_service import make_server
from style_transfer.serving.server.http import HttpThread
from style_transfer.serving.server.metrics import Metrics
from style_transfer.serving.server.rest import make_app

SHUTDOWN_SECS = 60.0


class Server:
    """The embedded server.

    Args:
        models: `Models`.
        limits: `Limits`.
        host: Address to bind; loopback unless others shall reach it.
        rest_port: Port of REST, 0 for any free one, None for none.
        grpc_port: Port of gRPC, 0 for any free one, None for none.
        token: Bearer token that requests must carry, or None.

    Attributes:
        rest_port: The port bound.
        grpc_port: The port bound.
    """

    def __init__(self, models, limits, host="127.0.0.1", rest_port=8501, grpc_port=8500,
                 token=None):
        if token is not None and (not token or not token.isascii() or not token.isprintable()):
            raise ValueError("The token must be printable ASCII and not empty.")
        self.models, self.limits, self.host = models, limits, host
        self.gate = Gate(limits.workers, limits.queue)
        self.metrics = Metrics(self.gate)
        self.rest_port, self.grpc_port = rest_port, grpc_port
        self._token = token
        self._rest = self._grpc = None

    def start(self):
        """Binds both ports and serves in threads.

        Raises:
            ValueError: A port is taken.
        """
        try:
            if self.rest_port is not None:
                self._start_rest()
            if self.grpc_port is not None:
                self._start_grpc()
        except BaseException:
            self.stop(0)
            raise
        return self

    def stop(self, grace_secs=SHUTDOWN_SECS):
        """Refuses new requests, finishes those inside, then closes the ports.

        Returns:
            Whether all requests finished in time.
        """
        finished = self.gate.close(grace_secs)
        if self._grpc is not None:
            self._grpc.stop(1.0 if finished else 0).wait()
        if self._rest is not None:
            self._rest.stop(force=not finished)
        self._rest = self._grpc = None
        return finished

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _start_rest(self):
        app = make_app(self.models, self.gate, self.limits, self.metrics, self._token)
        self._rest = HttpThread(app, self.host, self.rest_port, "REST", "--rest_port")
        self.rest_port = self._rest.port
        self._rest.start()

    def _start_grpc(self):
        logging.getLogger("grpc").setLevel(logging.ERROR)
        self._grpc = make_server(self.models, self.gate, self.limits, self.metrics, self._token)
        host = f"[{self.host}]" if ":" in self.host else self.host
        try:
            bound = self._grpc.add_insecure_port(f"{host}:{self.grpc_port}")
        except RuntimeError:
            bound = 0
        if not bound:
            raise ValueError(f"Cannot serve gRPC on {self.host} port {self.grpc_port}: it is taken "
                             "or not allowed. Choose another --grpc_port.")
        self.grpc_port = bound
        self._grpc.start()
