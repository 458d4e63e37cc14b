"""Server side of SASL (RFC 4422): PLAIN (RFC 4616), the obsolete LOGIN, and OAUTHBEARER (RFC 7628).

A mechanism is a generator: it yields challenges, is sent responses, and returns credentials. It checks their syntax;
the authenticator validates them. Errors never quote what the client sent.
"""

import base64
import re
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from relate_wire.lines import MAX_RESPONSE_OCTETS
from relate_wire.secret import Secret

MAX_PLAIN_OCTETS = 4096
"""The longest PLAIN message or LOGIN response: far beyond RFC 4616's three fields of 255 characters."""

MAX_MESSAGE_OCTETS = MAX_RESPONSE_OCTETS // 4 * 3
"""The longest message: the capacity of the longest response line in base64. Tokens may be that long."""

# No channel binding: "p=…" is refused (RFC 7628 §3.1).
_GS2_HEADER = re.compile(r"[ny],(?:a=(?P<authzid>(?:[^\0,=]|=2C|=3D)+))?,")
_BEARER = re.compile(r"(?i:Bearer) +(?P<token>[A-Za-z0-9._~+/-]+=*)")  # RFC 6750 §2.1
_INVALID_TOKEN = b'{"status":"invalid_token"}'


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client's claims, not validated. `secret` is a password or a bearer token.

    `authorize_as` is the authorization identity if it differs from `login`; the session decides whether to allow it.
    With OAUTHBEARER the token identifies the user; `login` is then the authorization identity of the message, or empty.
    """

    mechanism: str
    login: str
    secret: Secret[str]
    authorize_as: str = ""


class SaslError(Exception):
    """The exchange is malformed; the text may be sent to the client."""


class SaslCancelled(SaslError):
    """The client cancelled with `*` (RFC 4954 §4)."""


Exchange = Generator[bytes, bytes, Credentials]


async def authenticate(mechanism: str, initial: bytes | None, ask: Callable[[bytes], Awaitable[bytes]]) -> Credentials:
    """Run one exchange in base64 (RFC 4954 §4, RFC 5034 §4, RFC 9051 §6.2.2). Raises SaslError, and what `ask` raises.

    `initial` is the undecoded initial response, None without one. `ask` sends a challenge and returns the client's line
    without its end.
    """
    start = MECHANISMS.get(mechanism.upper())
    if start is None:
        raise SaslError("Unknown authentication mechanism")
    exchange = start()
    challenge = next(exchange)
    # An initial response answers the first challenge, which is then not sent (RFC 4422 §3.3).
    response = None if initial is None else parse_initial(initial)
    while True:
        if response is None:
            response = parse_response(await ask(base64.b64encode(challenge)))
        try:
            challenge = exchange.send(response)
        except StopIteration as finished:
            credentials: Credentials = finished.value
            return credentials
        response = None


def parse_initial(argument: bytes) -> bytes:
    """Decode an initial response; `=` stands for an empty one (RFC 4954 §4). Raises SaslError."""
    return b"" if argument == b"=" else _decode(argument)


def parse_response(line: bytes) -> bytes:
    """Decode a response line. Raises SaslCancelled, SaslError."""
    if line == b"*":
        raise SaslCancelled("Authentication cancelled")
    return _decode(line)


def plain() -> Exchange:
    """RFC 4616: one message, `[authzid] NUL authcid NUL passwd`."""
    fields = _text((yield b""), MAX_PLAIN_OCTETS).split("\0")
    if len(fields) != 3:
        raise SaslError("Malformed PLAIN message")
    authzid, authcid, password = fields
    return _credentials("PLAIN", authcid, password, authzid)


def login() -> Exchange:
    """draft-murchison-sasl-login, which Outlook uses: a name, then a password."""
    name = _text((yield b"Username:"), MAX_PLAIN_OCTETS)
    password = _text((yield b"Password:"), MAX_PLAIN_OCTETS)
    if "\0" in name + password:
        raise SaslError("Malformed LOGIN response")
    return _credentials("LOGIN", name, password)


def oauthbearer() -> Exchange:
    """RFC 7628 §3.1: a GS2 header (RFC 5801 §4), then key/value pairs, of which only `auth` is used."""
    header, *pairs = _text((yield b""), MAX_MESSAGE_OCTETS).split("\x01")
    gs2 = _GS2_HEADER.fullmatch(header)
    if gs2 is None or pairs[-2:] != ["", ""]:
        raise SaslError("Malformed OAUTHBEARER message")
    bearer = _BEARER.fullmatch(dict(pair.partition("=")[::2] for pair in pairs).get("auth", ""))
    if bearer is None:
        yield _INVALID_TOKEN  # §3.2.2: an error is sent as a challenge; the client's response to it is ignored
        raise SaslError("No bearer token")
    name = (gs2["authzid"] or "").replace("=2C", ",").replace("=3D", "=")
    return Credentials("OAUTHBEARER", name, Secret(bearer["token"]))


MECHANISMS: Mapping[str, Callable[[], Exchange]] = MappingProxyType(
    {"PLAIN": plain, "LOGIN": login, "OAUTHBEARER": oauthbearer}
)
"""The mechanisms, in the order in which they are announced."""


def _credentials(mechanism: str, authcid: str, password: str, authzid: str = "") -> Credentials:
    if not authcid or not password:  # RFC 4616 §2 requires at least one character of each
        raise SaslError("Empty login or password")
    return Credentials(mechanism, authcid, Secret(password), "" if authzid == authcid else authzid)


def _decode(encoded: bytes) -> bytes:
    with suppress(Base64Error):
        return base64.b64decode(encoded, validate=True)
    raise SaslError("Malformed base64")


def _text(octets: bytes, limit: int) -> str:
    if len(octets) > limit:
        raise SaslError("Response too long")
    with suppress(UnicodeDecodeError):
        return octets.decode()
    # Not raised in an except clause, because its __context__ would contain the password.
    raise SaslError("Response is not UTF-8")
