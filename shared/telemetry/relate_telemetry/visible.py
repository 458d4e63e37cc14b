"""Escapes characters of untrusted texts that control a terminal."""


def visible(text: str) -> str:
    r"""Replace control characters and directional marks by escapes (`\x1b`, `\u202e`)."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
