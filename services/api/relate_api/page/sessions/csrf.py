"""Requests that change something have to come from a form of this page, not from that of another site."""

import hmac
from http import HTTPStatus

from fastapi import HTTPException, Request

FIELD = "csrf"
"""The form's field with the secret of the session."""

_OWN_SITES = frozenset({"same-origin", "none"})  # W3C Fetch Metadata §2.3; "none" is the browser's own interface


async def check_form(request: Request, secret: str | None) -> None:
    """Compare the form's secret, and what the browser says of its origin. Raises HTTPException with 403."""
    check_site(request)
    check_secret((await request.form()).get(FIELD), secret)


def check_site(request: Request) -> None:
    """Raise HTTPException with 403 if the browser says that the form is of another site."""
    if request.headers.get("sec-fetch-site", "none") not in _OWN_SITES:
        raise HTTPException(HTTPStatus.FORBIDDEN, "the form is of another site")


def check_secret(sent: object, secret: str | None) -> None:
    """Raise HTTPException with 403 unless a form has sent this secret."""
    if not is_secret(sent, secret):
        raise HTTPException(HTTPStatus.FORBIDDEN, "the form has expired: load the page again")


def is_secret(sent: object, secret: str | None) -> bool:
    """Whether a form has sent this secret."""
    if not secret or not isinstance(sent, str):
        return False
    return hmac.compare_digest(sent.encode(), secret.encode())
