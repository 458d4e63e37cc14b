"""Renders templates. All values are escaped; the policy permits no script and no style but the files of the page."""

from collections.abc import Mapping
from functools import cache

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from relate_api.page import assets, shown
from relate_api.page.notices import told
from relate_api.page.visitors import Visitor

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FIELDS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",  # of browsers that do not know frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@cache
def environment() -> Environment:
    """The environment of all templates."""
    made = Environment(
        loader=PackageLoader("relate_api.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= shown.FILTERS
    made.globals["asset"] = assets.url_of
    return made


def render(request: Request, template: str, visitor: Visitor | None = None, **values: object) -> HTMLResponse:
    """A page. `visitor` is the one who has signed in, for what is around the content."""
    text = environment().get_template(template).render(request=request, visitor=visitor, done=told(request), **values)
    return HTMLResponse(text, headers=dict(FIELDS))
