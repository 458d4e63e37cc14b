"""The files of the page. htmx 4.0.1 is `dist/htmx.min.js` of the package htmx.org, without the reference to its map."""

import hashlib
from functools import cache
from http import HTTPStatus
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

_TYPES = {
    "page.css": "text/css",
    "compose.css": "text/css",
    "settings.css": "text/css",
    "admin.css": "text/css",
    "page.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
PATHS = ("/static/{name}",)
FIELDS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""A year, because the address of a file has its hash."""

_FOLDER = Path(str(resources.files(__package__ or ""))) / "static"

router = APIRouter()


@cache
def url_of(name: str) -> str:
    """The address of a file: another one when the file changes."""
    digest = hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


@router.get("/static/{name}")
async def get_page_file(name: str) -> FileResponse:
    """Get a file of the page."""
    if name not in _TYPES:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return FileResponse(_FOLDER / name, media_type=_TYPES[name], headers=FIELDS)
