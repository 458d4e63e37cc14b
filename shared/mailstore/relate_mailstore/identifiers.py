"""Identifiers of the mail model: of accounts, mailboxes, messages, threads, and the UIDs of a mailbox. Pure."""

import secrets
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NewType
from uuid import UUID

from relate_mailstore.errors import MailboxFull

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)  # of a message in a mailbox (RFC 9051 §2.3.1.1), from 1; not a message number
ModSeq = NewType("ModSeq", int)  # modification sequence of an entry or a mailbox (RFC 7162 §3.1), from 1
MessageId = NewType("MessageId", UUID)  # UUIDv7: the raw message's id, EMAILID of RFC 8474, the id in the REST API

NO_UID, NO_MODSEQ = Uid(0), ModSeq(0)
"""Below every UID, and below every modseq."""

LAST_UID = Uid(2**32 - 2)
"""The highest UID that is assigned: UIDNEXT, one more, must still be a number of 32 bits (RFC 9051 §2.3.1.1)."""


def allocate_uid(uid_next: int) -> Uid:
    """The UID of a message that arrives at this UIDNEXT. Raises MailboxFull when no UID is left."""
    if uid_next > LAST_UID:
        raise MailboxFull("all UIDs have been assigned")
    return Uid(uid_next)


def generate_message_ids() -> Iterator[MessageId]:
    """Yield ascending UUIDv7s: sub-millisecond time follows the milliseconds (RFC 9562 §6.2, method 3)."""
    tick = 0
    while True:
        tick = max(tick + 1, time.time_ns() * 4096 // 1_000_000)
        milliseconds, fraction = divmod(tick, 4096)
        yield MessageId(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)))


def thread_id(references: Sequence[str], header_message_id: str, message_id: MessageId) -> str:
    """The THREADID of a message (RFC 8474 §5.2): a hash of the first of its References, the root of the thread.

    A message without References is a root itself: then of its Message-ID, or of its `message_id` if it has none.
    """
    root = references[0] if references else header_message_id
    return blake2b(root.encode(errors="replace") or message_id.bytes, digest_size=8).hexdigest()
