"""The document in the frame of a message, and its policy."""

from collections.abc import Mapping

from fastapi.responses import HTMLResponse

_SANDBOX = "sandbox allow-popups allow-popups-to-escape-sandbox"
_POLICY = (
    "default-src 'none'; img-src {images}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'; " + _SANDBOX
)
FRAME_SANDBOX = _SANDBOX.removeprefix("sandbox ")
"""The attribute `sandbox` of the frame. No script runs, and the document has an origin of its own."""

# Mail is written for a light page: its colours would not be readable on a dark one.
_DOCUMENT = """<!doctype html>
<html lang="und">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>The message</title>
<style>
html {{ background: #fff; color: #1d2129; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word }}
body {{ margin: 1rem }}
img {{ max-width: 100%; height: auto }}
table {{ max-width: 100% }}
pre {{ white-space: pre-wrap }}
blockquote {{ margin: 0 0 0 .5rem; padding-left: .75rem; border-left: 3px solid #d5d9e0 }}
</style>
<body>
{html}
</body>
</html>
"""


def frame_policy(*, remote_images: bool) -> str:
    """The frame's Content-Security-Policy."""
    return _POLICY.format(images="data: https: http:" if remote_images else "data:")


def frame_document(html: str, *, remote_images: bool) -> HTMLResponse:
    """The response for the frame, of sanitised HTML."""
    fields: Mapping[str, str] = {
        "Content-Security-Policy": frame_policy(remote_images=remote_images),
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return HTMLResponse(_DOCUMENT.format(html=html), headers=dict(fields))
