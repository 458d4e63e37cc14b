"""Canonicalises addresses, so that equal mailboxes have equal strings.

Pure. Local parts are case-insensitive (RFC 5321 §2.4 leaves that to the receiving host), Unicode is NFC, and domains
are A-labels (RFC 5891), which need no SMTPUTF8. Error messages never quote the address.
"""

import re
import unicodedata

import idna

from relate_accounts.errors import InvalidAddress

MAX_LOCAL_PART_OCTETS = 64  # octets, RFC 5321 §4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # octets, §4.5.3.1.2
MAX_ADDRESS_OCTETS = 254  # octets, §4.5.3.1.3: a path has 256, its angle brackets included

_DETAIL = "+"  # the separator of RFC 5233 §4

_ATOM = r"(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])+"  # RFC 5322 §3.2.3, and RFC 6531 §3.3
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_STRING = re.compile(r'"((?:[^"\\]|\\.)+)"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_MUST_QUOTE = re.compile(r'(["\\])')
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def canonical_address(address: str) -> str:
    """Canonicalise an address. Raises InvalidAddress, also for a bare `postmaster` and for address literals."""
    _check_length(MAX_ADDRESS_OCTETS, address)
    local_part, _, domain = address.rpartition("@")
    canonical = f"{_canonical_local_part(local_part)}@{canonical_domain(domain)}"
    _check_length(MAX_ADDRESS_OCTETS, canonical)
    return canonical


def find_canonical(address: str) -> str | None:
    """Canonicalise an address; None if it has no canonical form, such as one with an address literal."""
    try:
        return canonical_address(address)
    except InvalidAddress:
        return None


def canonical_domain(domain: str) -> str:
    """Canonicalise a domain to A-labels in lower case. Raises InvalidAddress."""
    _check_length(MAX_DOMAIN_OCTETS, domain)  # before IDNA, whose cost grows faster than linearly
    name = domain.lower() if domain.isascii() else _a_labels(domain)
    _check_length(MAX_DOMAIN_OCTETS, name)
    if not _DOMAIN.fullmatch(name):
        raise InvalidAddress("the domain is not a host name")
    return name


def without_detail(address: str) -> str | None:
    """Return a canonical address without its `+detail` (RFC 5233), None if it has none."""
    local_part, _, domain = address.rpartition("@")
    user, separator, _ = local_part.partition(_DETAIL)
    if not (user and separator) or user.startswith('"'):
        return None
    return f"{user}@{domain}"


def catch_all(address: str) -> str:
    """Return the catch-all of an address's domain: `*@domain`."""
    return f"*@{domain_of(address)}"


def reachable_by(address: str) -> list[str]:
    """Return the addresses whose owner gets the mail for a canonical address (`directory`): itself included."""
    return list(filter(None, (address, without_detail(address), catch_all(address))))


def is_catch_all(address: str) -> bool:
    """Whether an address is a catch-all, `*@domain`."""
    return address.startswith("*@")


def domain_of(address: str) -> str:
    """Return the domain of a canonical address."""
    return address.rpartition("@")[2]


def _canonical_local_part(text: str) -> str:
    folded = _fold(text)
    quoted = _QUOTED_STRING.fullmatch(folded)
    # "alice" and alice are the same mailbox (RFC 5321 §4.1.2), so that quotes are removed unless they are required.
    content = _QUOTED_PAIR.sub(r"\1", quoted[1]) if quoted else folded
    plain = _DOT_STRING.fullmatch(content) is not None
    # Not printable are controls, and invisible characters, which make two addresses look the same.
    if not (plain or quoted) or not content.isprintable():
        raise InvalidAddress("the local part is not a dot-string or quoted string")
    local_part = content if plain else '"' + _MUST_QUOTE.sub(r"\\\1", content) + '"'
    _check_length(MAX_LOCAL_PART_OCTETS, local_part)
    return local_part


def _fold(text: str) -> str:
    # NFC again after lower(), because the lower case of a composed letter may be decomposed.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _a_labels(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except UnicodeError:  # the base of IDNAError, whose text quotes the domain
        raise InvalidAddress("the domain is not an internationalised domain name") from None


def _check_length(octets: int, text: str) -> None:
    try:
        if len(text.encode()) <= octets:
            return
    except UnicodeEncodeError:  # a lone surrogate, from octets that were not UTF-8
        raise InvalidAddress("an address is Unicode text") from None
    raise InvalidAddress(f"longer than {octets} octets")
