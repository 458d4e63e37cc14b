"""Text of strangers for logs, errors and reports."""


def printable(text: str) -> str:
    r"""Replace control characters, line ends, directional marks and lone surrogates by escapes (`\x1b`, `\u202e`)."""
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in text])
