"""Which web pages may call the API from a browser (CORS): those of configured origins, without cookies."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_FIELDS = (
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Range",
    "If-Range",
    "Last-Event-ID",
    "traceparent",
    "tracestate",
)
RESPONSE_FIELDS = (
    "ETag",
    "Location",
    "Content-Disposition",
    "Accept-Ranges",
    "Content-Range",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
)
PREFLIGHT_SECONDS = 600
"""How long a browser remembers the answer to a preflight."""


def allow_origins(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Answer preflights of these origins, without authentication, and mark responses to them; others get no mark."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_FIELDS,
        expose_headers=RESPONSE_FIELDS,
        allow_credentials=False,  # keys are sent in Authorization; there are no cookies
        max_age=PREFLIGHT_SECONDS,
    )
