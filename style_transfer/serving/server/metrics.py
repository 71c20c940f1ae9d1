"""What the embedded server counts, in Prometheus' format."""

import time

import prometheus_client as prometheus

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)


class Metrics:
    """Counters of one server.

    Args:
        gate: Its `Gate`.
    """

    def __init__(self, gate):
        self._registry = prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "style_transfer_requests", "Requests by interface, signature and outcome.",
            ["interface", "signature", "code"], registry=self._registry)
        self._seconds = prometheus.Histogram(
            "style_transfer_request_seconds", "From the first byte to the answer.",
            ["interface", "signature"], buckets=_SECONDS, registry=self._registry)
        self._audio = prometheus.Counter(
            "style_transfer_output_bytes", "Bytes of audio made.", registry=self._registry)
        inside = prometheus.Gauge(
            "style_transfer_requests_inside", "Requests waiting or computed.",
            registry=self._registry)
        inside.set_function(lambda: gate.inside)
        prometheus.ProcessCollector(registry=self._registry)

    def start(self):
        """A moment for `finish`."""
        return time.monotonic()

    def finish(self, started, interface, signature, code, outputs=None):
        """Counts one request.

        Args:
            started: From `start`.
            interface: `rest` or `grpc`.
            signature: A name that the model has, or "" so that clients cannot invent labels.
            code: Name of the gRPC status.
            outputs: What was answered.
        """
        self._requests.labels(interface, signature, code).inc()
        self._seconds.labels(interface, signature).observe(time.monotonic() - started)
        for value in (outputs or {}).values():
            self._audio.inc(sum(map(len, value)) if value.dtype == object else value.nbytes)

    def text(self):
        """All of it, as bytes."""
        return prometheus.generate_latest(self._registry)


CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
