"""The TXT record of `_mta-sts.<domain>`, which says that there is a policy, and which version (RFC 8461 §3.1). Pure."""

import re
from collections.abc import Iterable

_VERSION = re.compile(rb"v=STSv1[ \t]*;")
_FIELD = re.compile(rb"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,31})=(?P<value>[!-:<>-~]+)")
_ID = re.compile(rb"[A-Za-z0-9]{1,32}")


def find_id(records: Iterable[bytes]) -> str | None:
    """The id of the policy; None without exactly one record of this version, or if that one is malformed."""
    candidates = [record for record in records if _VERSION.match(record)]
    return _parse_id(candidates[0]) if len(candidates) == 1 else None


def _parse_id(record: bytes) -> str | None:
    _, *fields = [field.strip(b" \t") for field in record.split(b";")]
    if fields and not fields[-1]:
        fields.pop()  # the last delimiter is optional
    matches = [match for match in map(_FIELD.fullmatch, fields) if match is not None]
    if len(matches) < len(fields):
        return None
    # Of repeated fields the first counts; unknown fields are extensions (§3.1).
    found = next((match["value"] for match in matches if match["name"] == b"id"), b"")
    return found.decode("ascii") if _ID.fullmatch(found) else None
