"""The declarations of a style attribute that remain: colours, fonts, spaces and borders. Pure.

No value refers to a file, and none places an element over another one.
"""

import re

MAX_STYLE_CHARACTERS = 4_000

_PROPERTIES = re.compile(
    r"(?:color|background-color|background|direction|vertical-align|white-space|word-break|border-collapse"
    r"|border-spacing|list-style-type|table-layout|line-height|letter-spacing|float|clear"
    r"|font(?:-(?:family|size|style|weight|variant))?|text-(?:align|decoration|indent|transform)"
    r"|(?:max-|min-)?(?:width|height)|(?:margin|padding)(?:-(?:top|right|bottom|left))?"
    r"|border(?:-(?:top|right|bottom|left))?(?:-(?:color|style|width|radius))?)"
)
# Words, numbers, colours and quoted names; of functions only those of colours. No escapes, which would hide others.
_VALUE = re.compile(r"(?:(?:rgb|hsl)a?\([\d\s.,%/]*+\)|[\w\s.,#%!+'\"-])++", re.IGNORECASE | re.ASCII)


def safe_style(style: str) -> str:
    """The safe declarations of a style, in their order."""
    declarations = (part.partition(":") for part in style[:MAX_STYLE_CHARACTERS].split(";"))
    kept = ((name.strip().lower(), value.strip()) for name, _, value in declarations)
    return "; ".join(
        f"{name}: {value}" for name, value in kept if _PROPERTIES.fullmatch(name) and _VALUE.fullmatch(value)
    )
