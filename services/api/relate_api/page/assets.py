"""The files of the page. htmx 4.0.1 is `dist/htmx.min.js` of the package htmx.org, without the reference to its map."""

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

_TYPES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
PATHS = tuple(f"/static/{name}" for name in _TYPES)
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


@router.get("/static/page.css")
async def get_page_style() -> FileResponse:
    """Get the style."""
    return _file("page.css")


@router.get("/static/page.js")
async def get_page_script() -> FileResponse:
    """Get the page's own script."""
    return _file("page.js")


@router.get("/static/htmx.min.js")
async def get_page_htmx() -> FileResponse:
    """Get the script htmx."""
    return _file("htmx.min.js")


@router.get("/static/icon.svg")
async def get_page_icon() -> FileResponse:
    """Get the icon."""
    return _file("icon.svg")


def _file(name: str) -> FileResponse:
    return FileResponse(_FOLDER / name, media_type=_TYPES[name], headers=FIELDS)
