"""The position of a stream in the changes of an account, and the token by which a client resumes there. Pure.

A mailbox's state is its modseq and its UIDNEXT. While its changes are told, `Progress` says how far that came, so that
a client may be cut off after any event. Modseqs and UIDs only ascend, and the store has them, so the token is all that
is remembered of a client.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final, NamedTuple

from relate_mailstore.identifiers import NO_MODSEQ
from relate_mailstore.live_types import END_UID
from relate_mailstore.types import AccountId, Mailbox, MailboxId, ModSeq, Uid

MAX_TOKEN_CHARACTERS = 8_192  # half of a request's head
MAX_TOKEN_MAILBOXES = 300  # at 20 octets; of an account with more, no position is resumed
VERSION = 1
UNRESUMABLE: Final = "none"
"""The token of a position that is too large for one."""

_GROUP_BITS, _LOW_BITS, _MORE = 7, 0x7F, 0x80
_MAX_GROUPS = 9  # 63 bits, as the database has
_HEAD_NUMBERS, _STATE_NUMBERS, _PROGRESS_NUMBERS = 4, 3, 6
_FIRST_UID = Uid(1)


class State(NamedTuple):
    """The state of a mailbox of which a client was told all."""

    modseq: ModSeq = NO_MODSEQ
    uid_next: Uid = _FIRST_UID


@dataclass(frozen=True)
class States:
    """The states of an account's mailboxes."""

    of: Mapping[MailboxId, State]

    def replacing(self, mailbox_id: MailboxId, state: State) -> "States":
        """With another state of a mailbox."""
        return States({**self.of, mailbox_id: state})

    def without(self, mailbox_id: MailboxId) -> "States":
        """Without a mailbox."""
        return States({each: state for each, state in self.of.items() if each != mailbox_id})

    @cached_property
    def octets(self) -> bytes:
        """Their part of the token, which thousands of events may share."""
        numbers = chain.from_iterable((mailbox_id, *state) for mailbox_id, state in self.of.items())
        return _encode((len(self.of), *numbers))


class Progress(NamedTuple):
    """How far the client was told of the changes of a mailbox up to the state (`modseq`, `uid_next`).

    Those that arrived are told first, by UID: up to `next_uid`, exclusive. Then the changed and removed ones, in the
    order of (modseq, UID): up to (`changed_modseq`, `changed_uid`).
    """

    mailbox_id: MailboxId
    modseq: ModSeq
    uid_next: Uid
    next_uid: Uid
    changed_modseq: ModSeq
    changed_uid: Uid

    @classmethod
    def begin(cls, mailbox: Mailbox, state: State) -> "Progress":
        """The client was told of `state`, and of nothing since."""
        return cls(mailbox.id, mailbox.highest_modseq, mailbox.uid_next, state.uid_next, state.modseq, END_UID)


class Position(NamedTuple):
    """What a client of an account was told: of each mailbox, and the number of the last outcome."""

    account_id: AccountId
    outcome: int
    states: States
    progress: Progress | None = None

    @property
    def token(self) -> str:
        """The token of this position, without characters that mean something in a URL."""
        if len(self.states.of) > MAX_TOKEN_MAILBOXES:
            return UNRESUMABLE
        octets = _encode((VERSION, self.account_id, self.outcome)) + self.states.octets + _encode(self.progress or ())
        return urlsafe_b64encode(octets).rstrip(b"=").decode()


def parse_token(token: str) -> Position | None:
    """The position of a token; None if it is malformed."""
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        return None
    try:
        return _parse([*_numbers(urlsafe_b64decode(token + "=" * (-len(token) % 4)))])
    except ValueError:
        return None


def _parse(numbers: Sequence[int]) -> Position | None:
    if len(numbers) < _HEAD_NUMBERS or numbers[0] != VERSION:
        return None
    _, account_id, outcome, mailboxes = numbers[:_HEAD_NUMBERS]
    end = _HEAD_NUMBERS + _STATE_NUMBERS * mailboxes
    rest = numbers[end:]
    if mailboxes > MAX_TOKEN_MAILBOXES or end > len(numbers) or len(rest) not in {0, _PROGRESS_NUMBERS}:
        return None
    groups = (numbers[start : start + _STATE_NUMBERS] for start in range(_HEAD_NUMBERS, end, _STATE_NUMBERS))
    states = {MailboxId(each): State(ModSeq(modseq), Uid(uid_next)) for each, modseq, uid_next in groups}
    position = Position(AccountId(account_id), outcome, States(states))
    return position._replace(progress=Progress._make(rest)) if rest else position


def _encode(numbers: Iterable[int]) -> bytes:
    """Numbers in groups of seven bits, the lowest first; all but the last of a number have the eighth bit."""
    octets = bytearray()
    for number in numbers:
        rest = number
        while rest > _LOW_BITS:
            octets.append(rest & _LOW_BITS | _MORE)
            rest >>= _GROUP_BITS
        octets.append(rest)
    return bytes(octets)


def _numbers(octets: Iterable[int]) -> Iterator[int]:
    """Parse numbers. Raises ValueError for one that is too large, or cut off."""
    number = shift = 0
    for octet in octets:
        number |= (octet & _LOW_BITS) << shift
        shift += _GROUP_BITS
        if octet & _MORE:
            if shift >= _GROUP_BITS * _MAX_GROUPS:
                raise ValueError("the number is too large")
            continue
        yield number
        number = shift = 0
    if shift:
        raise ValueError("the last number is cut off")
