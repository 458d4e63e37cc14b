"""Content-Disposition of downloads (RFC 6266), with names that strangers chose. Pure."""

import re
import unicodedata
from urllib.parse import quote

MAX_NAME_CHARACTERS = 150
"""File systems allow 255 octets; percent-encoded, the name still fits into a header."""

# What is not part of a name on some system: separators, reserved characters.
_RESERVED = re.compile(r'[<>:"|?*%]')
_SEPARATORS = re.compile(r"[/\\]")
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9 ._()+=@,-]")
# Unicode's controls, formats (which reverse or hide text), surrogates, private use and unassigned code points.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe_name(name: str, default: str) -> str:
    """The last component of a name, without what a file system or a terminal would interpret; else `default`."""
    base = _SEPARATORS.split(name[-10 * MAX_NAME_CHARACTERS :])[-1]
    printable = "".join(" " if character.isspace() else character for character in base if _is_printable(character))
    cleaned = " ".join(_RESERVED.sub("_", printable).split()).strip(". ")
    return _shorten(cleaned) or default


def message_name(subject: str, default: str) -> str:
    """The name of the file of a message: its subject, in which separators of paths are no such; else `default`."""
    name = safe_name(f"{_SEPARATORS.sub('_', subject)}.eml", "")
    return name if name not in {"", "eml"} else default


def attachment(name: str) -> str:
    """The field for a safe name: saved, never displayed, because mail in this origin could act as the user.

    `filename` is for clients that do not know `filename*` (RFC 8187).
    """
    plain = _NOT_TOKEN.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()) or "download"
    field = f'attachment; filename="{plain}"'
    return field if plain == name else f"{field}; filename*=UTF-8''{quote(name, safe='')}"


def _is_printable(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in _UNPRINTABLE


def _shorten(name: str) -> str:
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > MAX_NAME_CHARACTERS // 2:
        return name[:MAX_NAME_CHARACTERS]
    return f"{stem[: MAX_NAME_CHARACTERS - len(suffix) - 1]}.{suffix}"
