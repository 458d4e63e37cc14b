"""The maildrop of one session: INBOX as it was at login, and what the client has marked since (RFC 1939 §5).

Message numbers count from 1 and stand still until the session ends. Marks are kept here alone: nothing reaches the
store before QUIT.
"""

from collections.abc import Iterator, Sequence

from relate_mailstore.read_ahead import Ahead, prefetch
from relate_mailstore.types import Entry, Flag, MessageId, Snapshot

SEEN = int(Flag.SEEN)  # an enum's "&" costs more than the rest of a look at an entry


class NoSuchMessage(Exception):
    """There is none of that number, or not any more; the text is fit for the client."""


class Maildrop:
    """Messages by number, without those marked as deleted."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.account_id = snapshot.mailbox.account_id
        self.mailbox_id = snapshot.mailbox.id
        self._uid_validity = snapshot.mailbox.uid_validity
        self._entries = snapshot.entries
        self._octets = snapshot.mailbox.octets
        self._deleted: set[int] = set()
        self._retrieved: set[int] = set()
        self._ahead = Ahead()

    def __len__(self) -> int:
        return len(self._entries) - len(self._deleted)

    def __iter__(self) -> Iterator[tuple[int, Entry]]:
        numbered = enumerate(self._entries, 1)
        return (
            ((number, entry) for number, entry in numbered if number not in self._deleted)
            if self._deleted
            else numbered
        )

    def __str__(self) -> str:
        """For people: `2 messages (320 octets)`."""
        return f"{len(self)} {'message' if len(self) == 1 else 'messages'} ({self.octets} octets)"

    @property
    def octets(self) -> int:
        """The size of all messages."""
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
        return (f"{number} {entry.size}" for number, entry in self)

    def unique_ids(self) -> Iterator[str]:
        """The unique-id listings of RFC 1939 §7."""
        uid_validity = self._uid_validity
        return (f"{number} {uid_validity}.{entry.uid}" for number, entry in self)

    def unique_id(self, entry: Entry) -> str:
        """The unique-id of RFC 1939 §7: never used again, and the same in every session."""
        return f"{self._uid_validity}.{entry.uid}"

    @prefetch
    def upcoming(self, number: int) -> Sequence[MessageId]:
        """The messages to prefetch while this one is sent: a client that takes its mail asks for it in order."""
        return [self._entries[ahead - 1].message_id for ahead in self._ahead.after(self._entries, number)]

    # --- marks

    def mark_retrieved(self, number: int) -> None:
        """The client has this message."""
        self._retrieved.add(number)

    def mark_deleted(self, number: int) -> None:
        """The client wants this message gone. Raises NoSuchMessage."""
        self.entry(number)
        self._deleted.add(number)

    def unmark_deleted(self) -> None:
        """The client wants all its messages back."""
        self._deleted.clear()

    def deleted(self) -> Sequence[int]:
        """UIDs of what QUIT is to remove."""
        return [self._entries[number - 1].uid for number in sorted(self._deleted)]

    def newly_seen(self) -> Sequence[int]:
        """UIDs of what was retrieved, stays, and was not marked as seen yet."""
        kept = (self._entries[number - 1] for number in sorted(self._retrieved - self._deleted))
        return [entry.uid for entry in kept if not entry.flags & SEEN]
