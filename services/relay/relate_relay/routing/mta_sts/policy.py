"""The policy of a domain: its grammar, and which hosts it names (RFC 8461 §3.2, §4.1). Pure."""

import re
from dataclasses import dataclass
from enum import Enum

MAX_POLICY_OCTETS = 65_536
"""The longest policy (RFC 8461 §3.3)."""
MAX_AGE_SECONDS = 31_557_600
"""The longest time for which a policy is cached: a year (RFC 8461 §3.2)."""
MAX_PATTERNS = 100
"""A policy with more patterns is invalid, because all cached policies are in memory."""

_FIELD = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)")
_SUB_DOMAIN = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*+")
_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_MAX_PATTERN_CHARACTERS = 255


class Mode(Enum):
    """What a sender does with a host that the policy does not allow, or that fails to prove its name (RFC 8461 §5)."""

    ENFORCE = "enforce"
    """Nothing is sent to it."""
    TESTING = "testing"
    """Mail is sent all the same, and the failure counted."""
    NONE = "none"
    """There is no policy any more."""


class StsFault(Enum):
    """Why an announced policy was not obtained; the value is the result type of TLS-RPT (RFC 8460 §4.3.2)."""

    FETCH_ERROR = "sts-policy-fetch-error"
    INVALID = "sts-policy-invalid"
    WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: host names, or `*.` and a domain, in A-labels and lower case; `max_age` is in seconds."""

    mode: Mode
    patterns: tuple[str, ...]
    max_age: int

    def matches(self, mx_name: str) -> bool:
        """Whether the policy names this host. A wildcard stands for exactly one label, the leftmost (RFC 8461 §4.1)."""
        name = mx_name.lower().removesuffix(".")
        label, dot, parent = name.partition(".")
        return name in self.patterns or (bool(label and dot) and f"*.{parent}" in self.patterns)


def parse_policy(octets: bytes) -> Policy | None:
    """Parse a policy; None if it is invalid. Lines end in LF or CRLF; unknown fields are extensions."""
    if len(octets) > MAX_POLICY_OCTETS:
        return None
    try:
        lines = octets.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None
    first: dict[str, str] = {}
    patterns: list[str] = []
    for line in filter(None, (line.removesuffix("\r").rstrip(" \t") for line in lines)):
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        if field["key"] == "mx":
            patterns.append(field["value"].lower())
        else:
            first.setdefault(field["key"], field["value"])  # repeated fields other than mx are ignored (§3.2)
    return _build(first, patterns)


def format_policy(policy: Policy) -> bytes:
    """A text that `parse_policy` parses."""
    lines = ("version: STSv1", f"mode: {policy.mode.value}", f"max_age: {policy.max_age}")
    return "\n".join((*lines, *[f"mx: {pattern}" for pattern in policy.patterns])).encode()


def _build(fields: dict[str, str], patterns: list[str]) -> Policy | None:
    mode = next((mode for mode in Mode if mode.value == fields.get("mode")), None)
    age = _SECONDS.fullmatch(fields.get("max_age", ""))
    if fields.get("version") != "STSv1" or mode is None or age is None:
        return None
    if not all(map(_is_pattern, patterns)) or len(patterns) > MAX_PATTERNS:
        return None
    if not patterns and mode is not Mode.NONE:
        return None
    return Policy(mode, tuple(patterns), min(int(age[0]), MAX_AGE_SECONDS))


def _is_pattern(text: str) -> bool:
    return len(text) <= _MAX_PATTERN_CHARACTERS and _PATTERN.fullmatch(text) is not None
