"""Draws QR codes. Pure."""

import segno
from markupsafe import Markup

QUIET_MODULES = 4
"""The margin that scanners need (ISO/IEC 18004 §6.3.8)."""


def draw_qr_code(text: str) -> Markup:
    """A text in UTF-8 as the element `svg`, black on white in dark mode too, without a style of its own."""
    code = segno.make_qr(text, encoding="utf-8")
    drawn = code.svg_inline(border=QUIET_MODULES, light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    return Markup(drawn)  # noqa: S704 - modules only, none of the text
