"""SMTP's commands as the client sends them (RFC 5321 §4.1.1 and extensions).

Whatever could end a command or add a parameter to it raises ValueError: addresses and parameters come from strangers.
"""

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from relate_relay.client.capabilities import Capabilities
from relate_relay.client.envelope import Envelope, Recipient
from relate_wire.secret import Secret

_UNSAFE = r"\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff"
_QUOTED_STRING = r'"(?:[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|\\[ -~])*+"'
_ATOMS = rf'[^{_UNSAFE}<>()\[\]\\,;:@"]++'
_DOMAIN = rf'[^{_UNSAFE}<>()\\,;@"]++'
# Not the grammar of RFC 5321 §4.1.2, but what cannot leave the angle brackets. Only postmaster has no domain.
_ADDRESS = re.compile(rf"(?:{_ATOMS}|{_QUOTED_STRING})(?:@{_DOMAIN})?")
_CLIENT_NAME = re.compile(r"[A-Za-z0-9._-]++|\[[A-Za-z0-9.:]++\]")

_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})"
_ENVID = re.compile(rf"{_XTEXT}{{1,100}}")  # RFC 3461 §4.4
# RFC 3461 §4.2; with SMTPUTF8 it may contain UTF-8 unencoded (RFC 6533 §3).
_ORCPT = re.compile(rf"[A-Za-z0-9-]++;(?:{_XTEXT}|[^\x00-\xa0\u2028\u2029\ud800-\udfff]){{1,500}}")
_RET = re.compile(r"FULL|HDRS", re.IGNORECASE | re.ASCII)  # RFC 3461 §4.3
_EVENT = "(?:SUCCESS|FAILURE|DELAY)"
_NOTIFY = re.compile(rf"NEVER|{_EVENT}(?:,{_EVENT}){{0,2}}", re.IGNORECASE | re.ASCII)  # RFC 3461 §4.1

END_OF_CONTENT = "CONTENT"
"""Stands for a verb where the reply is to the content after DATA."""

LOGIN_MECHANISMS = ("PLAIN", "LOGIN")
"""The mechanisms that the client knows, in the order of preference."""


class Command(NamedTuple):
    """A command: its verb, for telemetry and reports, and its octets, CRLF included."""

    verb: str
    octets: bytes


DATA = Command("DATA", b"DATA\r\n")
RSET = Command("RSET", b"RSET\r\n")
QUIT = Command("QUIT", b"QUIT\r\n")
STARTTLS = Command("STARTTLS", b"STARTTLS\r\n")
FINAL_DOT = b".\r\n"


def hello(verb: str, client_name: str) -> Command:
    """EHLO or HELO with a domain or an address literal (§4.1.1.1). Raises ValueError."""
    return Command(verb, f"{verb} {_checked(_CLIENT_NAME, client_name, 'client name')}\r\n".encode())


def mail(envelope: Envelope, capabilities: Capabilities) -> Command:
    """MAIL with the parameters that the server has announced (§4.1.1.2). Raises ValueError."""
    sender = _checked(_ADDRESS, envelope.sender, "sender") if envelope.sender else ""
    words = [f"MAIL FROM:<{sender}>"]
    if capabilities.max_size is not None and envelope.size:
        words.append(f"SIZE={envelope.size}")
    if capabilities.eight_bit_mime and envelope.needs_8bit:
        words.append("BODY=8BITMIME")
    if capabilities.smtputf8 and envelope.requires_smtputf8:
        words.append("SMTPUTF8")
    if capabilities.dsn and envelope.ret:
        words.append(f"RET={_checked(_RET, envelope.ret, 'RET')}")
    if capabilities.dsn and envelope.envid:
        words.append(f"ENVID={_checked(_ENVID, envelope.envid, 'ENVID')}")
    return _command("MAIL", words)


def rcpt(recipient: Recipient, capabilities: Capabilities) -> Command:
    """RCPT with the parameters that the server has announced (§4.1.1.3). Raises ValueError."""
    words = [f"RCPT TO:<{_checked(_ADDRESS, recipient.address, 'recipient')}>"]
    if capabilities.dsn and recipient.notify:
        words.append(f"NOTIFY={_checked(_NOTIFY, recipient.notify, 'NOTIFY')}")
    if capabilities.dsn and recipient.orcpt:
        words.append(f"ORCPT={_checked(_ORCPT, recipient.orcpt, 'ORCPT')}")
    return _command("RCPT", words)


def bdat(octets: int, *, is_last: bool) -> bytes:
    """The line that precedes a chunk of so many octets (RFC 3030 §2)."""
    return b"BDAT %d LAST\r\n" % octets if is_last else b"BDAT %d\r\n" % octets


def login(mechanism: str, user: str, password: Secret[str]) -> list[Secret[bytes]]:
    """The lines of AUTH with one of LOGIN_MECHANISMS: each after the first answers a challenge (RFC 4954 §4).

    Raises ValueError.
    """
    name, secret = _login_octets(user), _login_octets(password.reveal())
    if mechanism == "PLAIN":  # RFC 4616 §2, without an authorization identity
        return [Secret(b"AUTH PLAIN %b\r\n" % base64.b64encode(b"\0%b\0%b" % (name, secret)))]
    answers = [base64.b64encode(octets) + b"\r\n" for octets in (name, secret)]
    return [Secret(line) for line in (b"AUTH LOGIN\r\n", *answers)]


def _command(verb: str, words: Sequence[str]) -> Command:
    return Command(verb, f"{' '.join(words)}\r\n".encode())


def _checked(pattern: re.Pattern[str], value: str, name: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ValueError(f"the {name} cannot be sent in an SMTP command")
    return value


def _login_octets(text: str) -> bytes:
    # Not raised in an except clause, because its __context__ would contain the password.
    octets = b""
    with suppress(UnicodeEncodeError):
        octets = text.encode()
    if not octets or b"\0" in octets:
        raise ValueError("a user name or password for AUTH is empty, contains NUL, or is not UTF-8")
    return octets
