"""What can go wrong with a request, each with its HTTP status and gRPC code."""


class RequestError(Exception):
    """A request that cannot be served; the message is for the client.

    Attributes:
        http_status: What REST answers.
        grpc_code: Name of the `grpc.StatusCode` that gRPC answers.
    """

    http_status, grpc_code = 500, "INTERNAL"


class InvalidRequestError(RequestError):
    """The client must change the request."""

    http_status, grpc_code = 400, "INVALID_ARGUMENT"


class UnauthenticatedError(RequestError):
    """The bearer token is missing or wrong."""

    http_status, grpc_code = 401, "UNAUTHENTICATED"


class NotFoundError(RequestError):
    """There is no such model, version or signature."""

    http_status, grpc_code = 404, "NOT_FOUND"


class TimedOutError(RequestError):
    """The client sent its request too slowly."""

    http_status, grpc_code = 408, "DEADLINE_EXCEEDED"


class CancelledRequestError(RequestError):
    """The client hung up, so that nobody is there to read this."""

    http_status, grpc_code = 499, "CANCELLED"  # nginx's number


class TooLargeError(RequestError):
    """The request is larger than the server reads."""

    http_status, grpc_code = 413, "INVALID_ARGUMENT"


class OverloadedError(RequestError):
    """The queue is full; the same request may succeed later."""

    http_status, grpc_code = 429, "RESOURCE_EXHAUSTED"


class UnavailableError(RequestError):
    """The server is shutting down."""

    http_status, grpc_code = 503, "UNAVAILABLE"


class DeadlineExceededError(RequestError):
    """The answer would come later than the client waits."""

    http_status, grpc_code = 504, "DEADLINE_EXCEEDED"
