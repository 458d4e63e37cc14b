"""Raw messages, and what is computed from them at delivery."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from relate_mailstore.types import AccountId, MessageId, Rendering
from relate_mime import MessageIndex


class RawMessage(Protocol):
    """A raw message, opened for reading."""

    @property
    def size(self) -> int:
        """Octets of the message."""

    @property
    def origin(self) -> str | None:
        """The traceparent of the transaction that delivered it."""

    @property
    def buffered(self) -> bytes | None:
        """All octets, if the message is small and in memory; else None."""

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop) in bounded chunks. Raises MessageNotFound, StoreUnavailable."""

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop) in one piece: only for a range that is known to be small."""


class RawStore(Protocol):
    """Raw messages, and the data computed from them at delivery."""

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Open a raw message of this account for reading. Raises MessageNotFound.

        `ahead` is a hint: the messages that will be opened next. Small ones are prefetched in the background.
        """

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Open several raw messages, the small ones with one query; None for an expunged one. `ahead` as in `open`."""

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw header of each message, with the empty line at its end; None for an expunged one."""

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """The FETCH data items of each message that need no raw message; None for an expunged one."""

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The index of each message, with the offsets of its parts; None for an expunged one."""
