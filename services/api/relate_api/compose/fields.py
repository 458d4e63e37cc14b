"""Header fields of a message that a user writes by the API. No value can end a line: the schemas refuse controls."""

import re
from collections.abc import Iterable
from email.header import Header

from relate_api.compose.schemas import Correspondent

MAX_LINE_CHARACTERS = 78

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")  # RFC 5322 §3.2.3
_SPECIAL = re.compile(r'(["\\])')


def address_field(name: str, correspondents: Iterable[Correspondent]) -> str:
    """A field with a line for each address; empty if there is none."""
    mailboxes = [_mailbox(each) for each in correspondents]
    return _field(name, ",\r\n ".join(mailboxes))


def text_field(name: str, text: str) -> str:
    """A field of unstructured text, encoded where it is not ASCII or looks encoded (RFC 2047 §5)."""
    if text.isascii() and "=?" not in text and len(name) + 2 + len(text) <= MAX_LINE_CHARACTERS:
        return f"{name}: {text}\r\n"
    return f"{name}: {_encode(text, len(name) + 2)}\r\n"


def id_field(name: str, message_ids: Iterable[str]) -> str:
    """A field of msg-ids, given without angle brackets, with a line for each; empty if there is none."""
    written = [f"<{each}>" for each in message_ids]
    return _field(name, "\r\n ".join(written))


def _field(name: str, value: str) -> str:
    return f"{name}: {value}\r\n" if value else ""


def _mailbox(correspondent: Correspondent) -> str:
    name = correspondent.name.strip()
    if not name:
        return f"<{correspondent.address}>"
    if name.isascii() and "=?" not in name and len(name) <= MAX_LINE_CHARACTERS:
        phrase = name if _ATOMS.fullmatch(name) else '"' + _SPECIAL.sub(r"\\\1", name) + '"'
    else:
        phrase = _encode(name, 1)
    return f"{phrase}\r\n <{correspondent.address}>" if "\n" in phrase else f"{phrase} <{correspondent.address}>"


def _encode(text: str, indent: int) -> str:
    """Encoded words (RFC 2047 §2), folded. `indent` is what stands before them in their line."""
    return Header(text, "utf-8", header_name="x" * max(indent - 2, 0)).encode(linesep="\r\n", splitchars="")
