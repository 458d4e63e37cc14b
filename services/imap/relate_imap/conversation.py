"""The mutable state of one client: its login, enabled extensions and selected mailbox.

The session owns it. Handlers read it, and change what their command is for (LOGIN, ENABLE, SELECT).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from relate_accounts.types import Granted
from relate_imap.context import Context
from relate_imap.replies import Refused
from relate_imap.selected.mailbox import NumberedEntries, SelectedMailbox
from relate_imap.selected.recent import UidRange
from relate_imap.selected.sequence_set import EMPTY, SequenceSet
from relate_imap.states import State
from relate_mailstore.identifiers import NO_UID
from relate_mailstore.types import AccountId, Snapshot, Uid
from relate_wire.ports import Client, Peer

if TYPE_CHECKING:
    from relate_imap.framing import Frame


class Extension(StrEnum):
    """Extensions that change the form of responses once a client has enabled them (RFC 5161, RFC 7162, RFC 9755)."""

    CONDSTORE = "CONDSTORE"
    QRESYNC = "QRESYNC"
    UTF8 = "UTF8=ACCEPT"
    REV2 = "IMAP4REV2"


@dataclass(slots=True)
class CachedStatus:
    """A snapshot that STATUS has read, and the counts computed from it, by item."""

    snapshot: Snapshot
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """The state of one connection."""

    client: "Client[Frame]"
    context: Context
    peer: Peer
    state: State = State.NOT_AUTHENTICATED
    granted: Granted | None = None
    unwatch: Callable[[], None] | None = None  # cancels the watch on the user's key
    enabled: set[Extension] = field(default_factory=set)
    selected_mailbox: SelectedMailbox | None = None
    saved_uids: tuple[Uid, ...] = ()  # UIDs of the last SEARCH RETURN (SAVE) (RFC 5182)
    status_cache: dict[str, CachedStatus] = field(default_factory=dict)  # mailboxes that STATUS has read, by name
    failed_logins: int = 0
    compressed: bool = False

    @property
    def account(self) -> AccountId:
        """The account of the logged-in user. Raises RuntimeError before the login."""
        if self.granted is None:
            raise RuntimeError("a command was allowed before the login")
        return AccountId(self.granted.user.id)

    @property
    def selected(self) -> SelectedMailbox:
        """The selected mailbox. Raises RuntimeError if there is none."""
        if self.selected_mailbox is None:
            raise RuntimeError("a command was allowed without a selected mailbox")
        return self.selected_mailbox

    @property
    def writable(self) -> SelectedMailbox:
        """The selected mailbox. Raises Refused if it is read-only."""
        if self.selected.read_only:
            raise Refused("The mailbox is read-only", "READ-ONLY")
        return self.selected

    @property
    def utf8(self) -> bool:
        """Whether names and strings are sent as UTF-8 (RFC 9755 §3, RFC 9051 §5.1)."""
        return bool(self.enabled & {Extension.UTF8, Extension.REV2})

    @property
    def sends_modseq(self) -> bool:
        """Whether unsolicited FETCH responses include MODSEQ (RFC 7162 §3.2.4)."""
        return bool(self.enabled & {Extension.CONDSTORE, Extension.QRESYNC})

    @property
    def sends_recent(self) -> bool:
        """Whether the client is sent \\Recent, which RFC 9051 has removed."""
        return Extension.REV2 not in self.enabled

    @property
    def recent_uids(self) -> SequenceSet:
        """UIDs of the messages that are \\Recent for this client."""
        return self.selected.recent_uids if self.sends_recent else EMPTY

    def select(self, selected: SelectedMailbox) -> None:
        """Enter the SELECTED state."""
        self.selected_mailbox, self.state = selected, State.SELECTED
        self.context.recent.open(selected.snapshot.mailbox.id)

    def deselect(self) -> None:
        """Leave the SELECTED state; no-op in another state."""
        selected, self.selected_mailbox, self.saved_uids = self.selected_mailbox, None, ()
        if selected is not None:
            self.state = State.AUTHENTICATED
            self.context.recent.close(selected.snapshot.mailbox.id)

    def claim_recent(self, uids: UidRange, *, saved: bool) -> None:
        """Mark messages as \\Recent in this session. A read-only mailbox leaves them \\Recent for other sessions.

        `saved` means that the store is already up to date.
        """
        selected, recent = self.selected, self.context.recent
        if not self.sends_recent:
            return
        if selected.read_only:
            selected.add_recent(recent.unclaimed(selected.snapshot.mailbox.id, uids))
        else:
            selected.add_recent(recent.claim(selected.snapshot.mailbox.id, uids))
            selected.unsaved_recent_stop = NO_UID if saved else uids.stop

    def messages_in(self, numbers: SequenceSet, *, uid: bool) -> NumberedEntries:
        """Messages of the selected mailbox by number or UID; "$" is the saved search result. Raises Refused."""
        if numbers.saved:
            return self.selected.with_uids(self.saved_uids)
        try:
            return self.selected.messages_in(numbers, uid=uid)
        except IndexError:
            raise Refused("There is no message with that number", bad=True) from None
