"""The grammar of the reverse-path, the forward-path, and the client's name (RFC 5321 §4.1.2).

Addresses are returned as the client wrote them; the directory resolves them. Non-ASCII characters are accepted
(RFC 6531 §3.3); the handlers check whether the transaction allows them.
"""

import ipaddress
import re

# §4.5.3.1.3 requires 256 octets; §4.5.3.1 recommends to allow more, which VERP and SRS senders need.
MAX_PATH_CHARACTERS = 512
# §4.5.3.1.2, and the limit of DNS.
MAX_DOMAIN_CHARACTERS = 255

POSTMASTER = "postmaster"
"""The only address without a domain (RFC 5321 §4.5.1)."""

# UTF8-non-ascii of RFC 6531 §3.3, without the C1 controls, because some parsers treat U+0085 as a line end.
_NON_ASCII = "\u00a0-\U0010ffff"
_ATOM = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_NON_ASCII}-]++"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*+"
_QUOTED_STRING = rf'"(?:[ !#-\[\]-~{_NON_ASCII}]|\\[ -~])*+"'
# An underscore is not allowed in host names, but common.
_LABEL = rf"(?!-)[A-Za-z0-9_{_NON_ASCII}-]++(?<!-)"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*+"
_LITERAL = r"\[[!-Z^-~]++\]"
_ROUTE = rf"@{_DOMAIN}(?:,@{_DOMAIN})*+:"

# A source route is accepted and ignored (§4.1.1.3, appendix C).
_PATH = re.compile(rf"<(?:{_ROUTE})?(?P<mailbox>(?:{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL}))>")
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE | re.ASCII)
_IPV4 = re.compile(r"\[([0-9.]+)\]")
_IPV6 = re.compile(r"\[IPv6:([0-9a-f:.]+)\]", re.IGNORECASE)

# §4.1.4: mail is not refused because this name is wrong. It must only be safe in a Received field.
_CLIENT_NAME = re.compile(r"[A-Za-z0-9_.:-]+|\[[A-Za-z0-9_.:-]+\]")


def parse_reverse_path(text: str) -> tuple[str, str] | None:
    """The sender's mailbox, empty for `<>`, and the text after the path; None if `text` does not begin with a path."""
    return ("", text[2:]) if text.startswith("<>") else _parse_path(text)


def parse_forward_path(text: str) -> tuple[str, str] | None:
    """The recipient's mailbox, or `postmaster`, and the text after the path; None if `text` does not begin with one."""
    match = _POSTMASTER.match(text)
    return (POSTMASTER, text[match.end() :]) if match else _parse_path(text)


def is_address(text: str) -> bool:
    """Whether a text is an address with a domain or an address literal, and nothing else."""
    return _parse_path(f"<{text}>") == (text, "")


def is_client_name(text: str) -> bool:
    """Whether a HELO or EHLO argument is safe in a trace field."""
    return len(text) <= MAX_DOMAIN_CHARACTERS and _CLIENT_NAME.fullmatch(text) is not None


def address_literal(address: str) -> str:
    """An IP address as an address literal (RFC 5321 §4.1.3), without the zone of a link-local one."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _parse_path(text: str) -> tuple[str, str] | None:
    match = _PATH.match(text)
    if match is None or match.end() > MAX_PATH_CHARACTERS or not _is_domain(match["domain"]):
        return None
    return match["mailbox"], text[match.end() :]


def _is_domain(domain: str) -> bool:
    if not domain.startswith("["):
        return len(domain) <= MAX_DOMAIN_CHARACTERS
    # General-address-literal (§4.1.3) is not supported, because no tag for one is registered.
    literal = _IPV4.fullmatch(domain) or _IPV6.fullmatch(domain)
    return literal is not None and _is_ip(literal[1])


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
