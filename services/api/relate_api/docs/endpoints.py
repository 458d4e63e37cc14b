"""`/docs` and its assets. The renderer is Redoc 2.5.4, one file beside this one with its licence.

Redoc because it is kept, reads well without any interaction, and its search, which needs a worker, can be left out.
`redoc.standalone.js` is `bundles/redoc.standalone.js` of the package, without the reference to its source map, and
without the maker's logo, which is at `cdn.redoc.ly`: the function that returns it returns null.
"""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

DOCS, SCRIPT, STYLE = "/docs", "/docs/redoc.standalone.js", "/docs/docs.css"
PATHS = (DOCS, SCRIPT, STYLE)

# No script of a page, nothing from other hosts. Styles are made by the renderer while it runs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ASSET_FIELDS = {"Cache-Control": "public, max-age=3600"}

_FOLDER = Path(str(resources.files(__package__ or "")))
_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Relate Mail: the REST API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{STYLE}">
<redoc spec-url="/openapi.json" disable-search="true" hide-download-button="true"></redoc>
<script src="{SCRIPT}"></script>
</html>
"""

router = APIRouter(include_in_schema=False)


@router.get(DOCS)
async def get_docs() -> HTMLResponse:
    """Get a page that shows the OpenAPI document."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"})


@router.get(SCRIPT)
async def get_docs_script() -> FileResponse:
    """Get the script that renders the document."""
    return FileResponse(_FOLDER / "redoc.standalone.js", media_type="text/javascript", headers=ASSET_FIELDS)


@router.get(STYLE)
async def get_docs_style() -> FileResponse:
    """Get the style of the page without what the script renders."""
    return FileResponse(_FOLDER / "docs.css", media_type="text/css", headers=ASSET_FIELDS)
