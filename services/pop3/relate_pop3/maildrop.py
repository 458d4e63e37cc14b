"""The maildrop of one session: a snapshot of INBOX at login, and the client's marks since (RFC 1939 §5).

Message numbers count from 1 and do not change until the session ends. Marks exist only here: the store is not changed
before QUIT.
"""

from collections.abc import Iterator, Sequence

from relate_mailstore.entry_columns import NumberField
from relate_mailstore.read_ahead import ReadAhead, prefetch
from relate_mailstore.types import Entry, Flag, MessageId, Snapshot, Uid

SEEN = int(Flag.SEEN)  # an int, because the "&" of an enum costs more than the rest of the test


class NoSuchMessage(Exception):
    """The number is out of range, or its message is marked as deleted. The message is the text of the reply."""


class Maildrop:
    """Messages by number, except those marked as deleted."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.account_id = snapshot.mailbox.account_id
        self.mailbox_id = snapshot.mailbox.id
        self._uid_validity = snapshot.mailbox.uid_validity
        self._entries = snapshot.entries
        self._octets = snapshot.mailbox.octets
        self._deleted: set[int] = set()
        self._retrieved: set[int] = set()
        self._ahead = ReadAhead()

    def __len__(self) -> int:
        return len(self._entries) - len(self._deleted)

    def __str__(self) -> str:
        """The summary in replies: `2 messages (320 octets)`."""
        return f"{len(self)} {'message' if len(self) == 1 else 'messages'} ({self.octets} octets)"

    @property
    def octets(self) -> int:
        """The total size of the messages."""
        return self._octets - sum(self._entries[number - 1].size for number in self._deleted)

    def entry(self, number: int) -> Entry:
        """One message. Raises NoSuchMessage."""
        if number in self._deleted:
            raise NoSuchMessage(f"Message {number} already deleted")
        if not 1 <= number <= len(self._entries):
            raise NoSuchMessage(f"No such message, only {len(self._entries)} in maildrop")
        return self._entries[number - 1]

    def sizes(self) -> Iterator[str]:
        """The scan listings of RFC 1939 §5."""
        return (f"{number} {size}" for number, size in self._remaining("size"))

    def unique_ids(self) -> Iterator[str]:
        """The unique-id listings of RFC 1939 §7."""
        uid_validity = self._uid_validity
        return (f"{number} {uid_validity}.{uid}" for number, uid in self._remaining("uid"))

    def unique_id(self, entry: Entry) -> str:
        """The unique-id of RFC 1939 §7: never reused, and the same in every session."""
        return f"{self._uid_validity}.{entry.uid}"

    def _remaining(self, field: NumberField) -> Iterator[tuple[int, int]]:
        """Message numbers with one field each."""
        numbered = enumerate(self._entries.column(field), 1)
        return (each for each in numbered if each[0] not in self._deleted) if self._deleted else numbered

    @prefetch
    def upcoming(self, number: int) -> Sequence[MessageId]:
        """The messages to prefetch while this one is sent, because clients retrieve messages in order."""
        return [self._entries[ahead - 1].message_id for ahead in self._ahead.after(self._entries, number)]

    # --- marks

    def mark_retrieved(self, number: int) -> None:
        """Mark a message as retrieved."""
        self._retrieved.add(number)

    def mark_deleted(self, number: int) -> None:
        """Mark a message as deleted. Raises NoSuchMessage."""
        self.entry(number)
        self._deleted.add(number)

    def unmark_deleted(self) -> None:
        """Remove all marks of deletion."""
        self._deleted.clear()

    def deleted(self) -> Sequence[Uid]:
        """UIDs of the messages that QUIT expunges."""
        return [self._entries[number - 1].uid for number in sorted(self._deleted)]

    def newly_seen(self) -> Sequence[Uid]:
        """UIDs of the retrieved messages that are not deleted and not yet \\Seen."""
        retrieved = (self._entries[number - 1] for number in sorted(self._retrieved - self._deleted))
        return [entry.uid for entry in retrieved if not entry.flags & SEEN]
