"""Who may talk to the page's server: pages that it sent itself, under names that are its own.

A site elsewhere must not drive a server on the visitor's own machine: neither by sending requests
across (CSRF) nor by a name of its own that resolves to loopback (DNS rebinding).
"""

import ipaddress
import urllib.parse

from starlette.responses import JSONResponse

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE_METHODS = ("GET", "HEAD")
_OWN_SITE = ("same-origin", "none")


class Guard:
    """Middleware that refuses foreign names and origins, and sets headers that confine the page.

    Args:
        app: The ASGI application behind.
        allowed_hosts: Names besides IP addresses and localhost that the server is reached by.
    """

    def __init__(self, app, allowed_hosts=()):
        self.app = app
        self.allowed_hosts = {name.lower() for name in allowed_hosts}

    async def __call__(self, scope, receive, send):
        """Passes a request on or refuses it."""
        if scope["type"] != "http":
            return
        refused = self.refusal(scope["method"], _header_dict(scope))
        if refused is not None:
            await JSONResponse({"error": refused}, 403, HEADERS)(scope, receive, send)
            return

        async def confined(message):
            if message["type"] == "http.response.start":
                own = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        await self.app(scope, receive, confined)

    def refusal(self, method, headers):
        """Why a request is refused, or None.

        Args:
            method: `GET`, ...
            headers: Dict, names in lower case.
        """
        host = headers.get("host", "")
        if not self._is_own(_split("//" + host).hostname):
            return (f"This server is not called {host[:100]!r}. Use its IP address or localhost, "
                    "or start it with --allowed_hosts.")
        origin = headers.get("origin")
        if method not in _SAFE_METHODS:
            if origin is not None and _split(origin).netloc != host:
                return "Requests from other sites are refused."
            if headers.get("sec-fetch-site", "none") not in _OWN_SITE:
                return "Requests from other sites are refused."
        return None

    def _is_own(self, name):
        if name is None:
            return False
        if name == "localhost" or name in self.allowed_hosts:
            return True
        try:
            ipaddress.ip_address(name)  # nobody can make an address point elsewhere
        except ValueError:
            return False
        return True


def _split(url):
    try:
        return urllib.parse.urlsplit(url)
    except ValueError:
        return urllib.parse.urlsplit("")


def _header_dict(scope):
    return {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
