"""The extensions that a server announces in its reply to EHLO (RFC 5321 §4.1.1.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relate_relay.client.replies import ServerReply

_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)  # RFC 1870 §4


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The announced extensions; none after HELO.

    `max_size` is in octets, None without the extension SIZE, 0 if the server has no fixed limit (RFC 1870 §4).
    `login_mechanisms` are the names after AUTH, in upper case (RFC 4954 §3).
    """

    max_size: int | None = None
    pipelining: bool = False  # RFC 2920
    eight_bit_mime: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    chunking: bool = False  # RFC 3030
    dsn: bool = False  # RFC 3461
    starttls: bool = False  # RFC 3207
    enhanced_status_codes: bool = False  # RFC 2034
    login_mechanisms: tuple[str, ...] = ()


NO_CAPABILITIES = Capabilities()


def parse_capabilities(reply: ServerReply) -> Capabilities:
    """Return the capabilities of a reply to EHLO. Its first line is the server's name; unknown keywords are ignored."""
    keywords: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        keyword, *values = line.upper().split() or [""]
        keywords.setdefault(keyword, values)
    return Capabilities(
        max_size=_max_size(keywords),
        pipelining="PIPELINING" in keywords,
        eight_bit_mime="8BITMIME" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        chunking="CHUNKING" in keywords,
        dsn="DSN" in keywords,
        starttls="STARTTLS" in keywords,
        enhanced_status_codes="ENHANCEDSTATUSCODES" in keywords,
        login_mechanisms=tuple(keywords.get("AUTH", ())),
    )


def _max_size(keywords: Mapping[str, list[str]]) -> int | None:
    values = keywords.get("SIZE")
    if values is None:
        return None
    return int(values[0]) if values and _SIZE.fullmatch(values[0]) else 0
