"""Cookies of the page. With https they are named `__Host-…`: no other host, and no plain connection, can set them."""

from fastapi import Request, Response

from relate_api.http.forwarded import RequestClient

SESSION, SIGN_IN, ISSUER = "relate-session", "relate-sign-in", "relate-issuer"
SIGN_IN_SECONDS = 3_600
"""How long a form for signing in may take."""


def read_cookie(request: Request, name: str) -> str | None:
    """The value of a cookie; None without one."""
    return request.cookies.get(_full_name(request, name)) or None


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that no script reads, and that other sites' requests do not have, except links to here."""
    response.set_cookie(
        _full_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",  # not strict: a link in another page, such as Jaeger's, opens the message
    )


def clear_cookie(request: Request, response: Response, name: str) -> None:
    """Remove a cookie."""
    response.delete_cookie(
        _full_name(request, name), path="/", secure=_is_secure(request), httponly=True, samesite="lax"
    )


def _full_name(request: Request, name: str) -> str:
    return f"__Host-{name}" if _is_secure(request) else name


def _is_secure(request: Request) -> bool:
    client: RequestClient = request.state.client
    return client.secure
