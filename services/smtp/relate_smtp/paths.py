"""Reverse-path and forward-path, the mailboxes within, and a client's name: the grammar of RFC 5321 §4.1.2.

Text in, text out: an address is kept as the client wrote it, and whose it is is for the directory to say. Octets
beyond ASCII are taken (RFC 6531 §3.3); whether the transaction allows them is for the session to say.
"""

import ipaddress
import re

# §4.5.3.1.3 has 256 octets; §4.5.3.1 asks for room beyond the minimum, and VERP and SRS senders need it.
MAX_PATH = 512
# §4.5.3.1.2, and what DNS can hold.
MAX_DOMAIN = 255

POSTMASTER = "postmaster"
"""The one address without a domain (RFC 5321 §4.5.1)."""

# UTF8-non-ascii of RFC 6531 §3.3, but without the C1 controls: some readers take U+0085 for a line end.
_BEYOND = "\u00a0-\U0010ffff"
_ATOM = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_BEYOND}-]++"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*+"
_QUOTED_STRING = rf'"(?:[ !#-\[\]-~{_BEYOND}]|\\[ -~])*+"'
# An underscore is in no host name, and in many that are used.
_LABEL = rf"(?!-)[A-Za-z0-9_{_BEYOND}-]++(?<!-)"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*+"
_LITERAL = r"\[[!-Z^-~]++\]"
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*+:"

# A source route is taken and ignored (§4.1.1.3, appendix C).
_PATH = re.compile(rf"<(?:{_ROUTE})?(?P<mailbox>(?:{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL}))>")
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE | re.ASCII)
_IPV4 = re.compile(r"\[([0-9.]+)\]")
_IPV6 = re.compile(r"\[IPv6:([0-9a-f:.]+)\]", re.IGNORECASE)

# §4.1.4: mail is not refused because this name is wrong. Anything will do that is harmless in a Received field.
_CLIENT_NAME = re.compile(r"[A-Za-z0-9_.:-]+|\[[A-Za-z0-9_.:-]+\]")


def parse_reverse_path(text: str) -> tuple[str, str] | None:
    """The sender's mailbox, empty for `<>`, and what follows the path; None if `text` begins with no path."""
    return ("", text[2:]) if text.startswith("<>") else _parse_path(text)


def parse_forward_path(text: str) -> tuple[str, str] | None:
    """The recipient's mailbox, or `postmaster`, and what follows the path; None if `text` begins with no path."""
    match = _POSTMASTER.match(text)
    return (POSTMASTER, text[match.end() :]) if match else _parse_path(text)


def is_client_name(text: str) -> bool:
    """Whether a HELO or EHLO argument may stand in a trace field as it is."""
    return len(text) <= MAX_DOMAIN and _CLIENT_NAME.fullmatch(text) is not None


def address_literal(address: str) -> str:
    """An IP address as an address literal (RFC 5321 §4.1.3), without the zone of a link-local one."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _parse_path(text: str) -> tuple[str, str] | None:
    match = _PATH.match(text)
    if match is None or match.end() > MAX_PATH or not _is_domain(match["domain"]):
        return None
    return match["mailbox"], text[match.end() :]


def _is_domain(domain: str) -> bool:
    if not domain.startswith("["):
        return len(domain) <= MAX_DOMAIN
    # General-address-literal (§4.1.3) is left out: no tag for one was ever registered.
    literal = _IPV4.fullmatch(domain) or _IPV6.fullmatch(domain)
    return literal is not None and _is_ip(literal[1])


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
