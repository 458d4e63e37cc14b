"""Texts from outside, made safe for a terminal."""


def visible(text: str) -> str:
    r"""The text with escapes (`\x1b`, `\u202e`) for what a terminal obeys: controls, and marks of direction."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
