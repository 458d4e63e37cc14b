"""One client's conversation, as the handlers see it: who it is, what it enabled, which mailbox it has selected.

The session owns it and decides what may be said when; handlers read it, and change it where their command is about
just that (LOGIN, ENABLE, SELECT).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from relate_accounts.types import Granted
from relate_imap.context import Context
from relate_imap.replies import Refused
from relate_imap.selected.mailbox import NumberedEntry, SelectedMailbox
from relate_imap.selected.recent import UidRange
from relate_imap.selected.sequence_set import EMPTY, SequenceSet
from relate_imap.states import State
from relate_mailstore.types import AccountId, Snapshot
from relate_wire.ports import Client, Peer

if TYPE_CHECKING:
    from relate_imap.framing import Frame


class Extension(StrEnum):
    """What changes the form of answers once a client has asked for it (RFC 5161, RFC 7162, RFC 9755)."""

    CONDSTORE = "CONDSTORE"
    QRESYNC = "QRESYNC"
    UTF8 = "UTF8=ACCEPT"
    REV2 = "IMAP4REV2"


@dataclass(slots=True)
class CachedStatus:
    """A mailbox whose STATUS was asked for, and what was counted in it, by item: counted once a change."""

    snapshot: Snapshot
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """The state of one connection."""

    client: "Client[Frame]"
    context: Context
    peer: Peer
    state: State = State.NOT_AUTHENTICATED
    granted: Granted | None = None
    unwatch: Callable[[], None] | None = None  # ends the watch over the user's key
    enabled: set[Extension] = field(default_factory=set)
    selected_mailbox: SelectedMailbox | None = None
    saved_uids: tuple[int, ...] = ()  # UIDs of the last SEARCH RETURN (SAVE) (RFC 5182)
    status_cache: dict[str, CachedStatus] = field(default_factory=dict)  # mailboxes whose STATUS was asked for, by name
    failed_logins: int = 0
    compressed: bool = False

    @property
    def account(self) -> AccountId:
        """Whose mail it is about."""
        if self.granted is None:
            raise RuntimeError("the state table let somebody in without a login")
        return AccountId(self.granted.user.id)

    @property
    def selected(self) -> SelectedMailbox:
        """The selected mailbox."""
        if self.selected_mailbox is None:
            raise RuntimeError("the state table let somebody in without a mailbox")
        return self.selected_mailbox

    @property
    def writable(self) -> SelectedMailbox:
        """The selected mailbox, if it may be changed. Raises Refused."""
        if self.selected.read_only:
            raise Refused("The mailbox is open for reading only", "READ-ONLY")
        return self.selected

    @property
    def utf8(self) -> bool:
        """Whether names and strings go out as UTF-8 (RFC 9755 §3, RFC 9051 §5.1)."""
        return bool(self.enabled & {Extension.UTF8, Extension.REV2})

    @property
    def sends_modseq(self) -> bool:
        """Whether unsolicited FETCH responses hold MODSEQ (RFC 7162 §3.2.4)."""
        return bool(self.enabled & {Extension.CONDSTORE, Extension.QRESYNC})

    @property
    def sends_recent(self) -> bool:
        """Whether the client knows \\Recent: RFC 9051 has done without it."""
        return Extension.REV2 not in self.enabled

    @property
    def recent_uids(self) -> SequenceSet:
        """What this client is told to be \\Recent."""
        return self.selected.recent_uids if self.sends_recent else EMPTY

    def select(self, selected: SelectedMailbox) -> None:
        """This mailbox is selected."""
        self.selected_mailbox, self.state = selected, State.SELECTED
        self.context.recent.open(selected.snapshot.mailbox.id)

    def deselect(self) -> None:
        """No mailbox is selected any more."""
        selected, self.selected_mailbox, self.saved_uids = self.selected_mailbox, None, ()
        if selected is not None:
            self.state = State.AUTHENTICATED
            self.context.recent.close(selected.snapshot.mailbox.id)

    def claim_recent(self, uids: UidRange, *, saved: bool) -> None:
        """The client is being told of these messages. A mailbox that is only examined keeps them \\Recent for others.

        `saved` says that the store knows it already.
        """
        selected, recent = self.selected, self.context.recent
        if not self.sends_recent:
            return
        if selected.read_only:
            selected.add_recent(recent.unclaimed(selected.snapshot.mailbox.id, uids))
        else:
            selected.add_recent(recent.claim(selected.snapshot.mailbox.id, uids))
            selected.unsaved_recent_stop = 0 if saved else uids.stop

    def messages_in(self, numbers: SequenceSet, *, uid: bool) -> Sequence[NumberedEntry]:
        """Messages of the selected mailbox by number or UID, "$" by what was saved. Raises Refused."""
        if numbers.saved:
            return list(self.selected.with_uids(self.saved_uids))
        try:
            return self.selected.messages_in(numbers, uid=uid)
        except IndexError:
            raise Refused("There is no message of that number", bad=True) from None
