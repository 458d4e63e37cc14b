"""The payload of a PostgreSQL notification, in JSON. Pure.

Processes of different versions share a database during an upgrade, so the format only grows optional keys.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from relate_mailstore.sql.deltas import Removal
from relate_mailstore.types import AccountId, MailboxNotice, MessageId

MAX_PAYLOAD_OCTETS = 7_999  # PostgreSQL's limit is "shorter than 8000"
MAX_REMOVED_IDS = 50  # for more, evicting the whole account from the caches costs no more
_ID_OCTETS = 16


class Notice(NamedTuple):
    """A parsed payload. `accounts`: those of which it could not name the changed mailboxes; None for all accounts."""

    changes: Collection[MailboxNotice] = ()
    removal: Removal | None = None
    accounts: Collection[AccountId] | None = ()


def encode_notice(changes: Collection[MailboxNotice], removal: Removal | None = None) -> str:
    """The payload with these changes; if it is too large, with their accounts only; else an empty one.

    A process that receives no changes assumes that any message of the accounts may have been removed.
    """
    notice: dict[str, object] = {"changes": changes}
    if removal is not None:
        notice["gone"] = _encode_removal(removal)
    exact = json.dumps(notice, separators=(",", ":"))
    if len(exact) <= MAX_PAYLOAD_OCTETS:
        return exact
    accounts = json.dumps({"accounts": sorted({change.account_id for change in changes})}, separators=(",", ":"))
    return accounts if len(accounts) <= MAX_PAYLOAD_OCTETS else "{}"


def encode_change(change: MailboxNotice) -> str:
    """One element of the list of changes."""
    return json.dumps(change, separators=(",", ":"))


def parse_notice(payload: str) -> Notice:
    """Parse a payload."""
    notice = json.loads(payload)
    if "changes" not in notice:
        return Notice(accounts=notice.get("accounts"))
    gone = notice.get("gone")
    return Notice([MailboxNotice(*change) for change in notice["changes"]], _parse_removal(*gone) if gone else None)


def _encode_removal(removal: Removal) -> Sequence[object]:
    """The account, and all ids in one string: 50 take 1,068 octets."""
    if removal.message_ids is None or len(removal.message_ids) > MAX_REMOVED_IDS:
        return [removal.account_id]
    return [removal.account_id, b64encode(b"".join([one.bytes for one in removal.message_ids])).decode()]


def _parse_removal(account_id: AccountId, encoded: str | None = None) -> Removal:
    if encoded is None:
        return Removal(account_id, None)
    octets = b64decode(encoded)
    starts = range(0, len(octets), _ID_OCTETS)
    return Removal(account_id, [MessageId(UUID(bytes=octets[start : start + _ID_OCTETS])) for start in starts])
