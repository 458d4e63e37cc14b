"""What a reply or a forwarded message takes from the message that it answers: recipients, subject, threading fields."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from relate_accounts.addresses import find_canonical, reachable_by
from relate_api.access.dependencies import Principal, Services
from relate_api.compose.mime import Forwarded
from relate_api.compose.schemas import (
    MAX_FIELD_ADDRESSES,
    MAX_NAME_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    Correspondent,
)
from relate_mailstore.types import Flag, FlagChange, ListedMessage, MessageId
from relate_mime.address_lists import read_address_list
from relate_mime.types import Address, MessageIndex
from relate_submission.header import Header, bcc_fields, forged_fields
from relate_submission.paths import is_address

MAX_REFERENCES = 50  # the first, which is the thread's root, and the newest; a thread may have thousands
REPLIED = FlagChange(add=Flag.ANSWERED)
FORWARDED = FlagChange(add_keywords=("$Forwarded",))  # RFC 5788 §3.1, IANA's registry of keywords

_REPLY = re.compile(r"re\s*:", re.IGNORECASE)
_FORWARD = re.compile(r"fwd?\s*:", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"[!-;=?-~]{1,900}")  # without the angle brackets, in ASCII
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_UNSAFE_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|]+')


@dataclass(frozen=True, slots=True)
class Answered:
    """The message that is answered, the caller's addresses, and its Reply-To addresses, if it has any.

    `own` are the verified addresses, and those in the message whose mail reaches the caller, as it does with a
    `+detail`: canonical ones by how the message may write them, case folded.
    """

    listed: ListedMessage
    own: Mapping[str, str]
    reply_to: Sequence[Address] = ()

    @property
    def index(self) -> MessageIndex:
        """The message's index."""
        return self.listed.message.index

    @property
    def references(self) -> Sequence[str]:
        """The References of a reply: those of the message and its Message-ID (RFC 5322 §3.6.4)."""
        return thread_references([*self.index.references, self.index.header_message_id])

    @property
    def in_reply_to(self) -> str:
        """The In-Reply-To of a reply; empty if the message has no Message-ID."""
        own = self.index.header_message_id
        return own if _MESSAGE_ID.fullmatch(own) else ""

    def addressed(self) -> str | None:
        """The caller's address that the message was sent to, or from: it answers as that."""
        named = (*self.index.to, *self.index.cc, *self.index.senders)
        return next(filter(None, (self.own.get(each.address.casefold()) for each in named)), None)

    def recipients(self) -> tuple[Correspondent, ...]:
        """The recipients of a reply to the author; to an own message, those of that."""
        if self._is_own():
            return _correspondents(self.index.to)
        return _correspondents(self.reply_to or self.index.senders or (self.index.sender,))

    def all_recipients(self) -> tuple[tuple[Correspondent, ...], tuple[Correspondent, ...]]:
        """To and Cc of a reply to all, without the caller, and each once."""
        own = () if self._is_own() else self.own
        to = _correspondents((*_addresses(self.recipients()), *self.index.to), own)
        return to or self.recipients(), _correspondents(self.index.cc, (*own, *(each.address for each in to)))

    def _is_own(self) -> bool:
        return self.index.sender.address.casefold() in self.own


async def find_answered(services: Services, principal: Principal, message_id: MessageId) -> Answered:
    """The message that is answered. Raises MessageNotFound."""
    listed = await services.store.message(principal.account_id, message_id)
    (raw,) = await services.store.headers(principal.account_id, [message_id])
    reply_to = [
        address
        for field in Header(raw or b"").fields(b"reply-to")
        for address in read_address_list(field.value).addresses
    ]
    reply_to = [each for each in reply_to if is_address(each.address)]
    index = listed.message.index
    # A form on a web site writes as `web+form@…`, perhaps, and names the visitor in Reply-To: that is no own message.
    authors = () if reply_to else (*index.senders, index.sender)
    own = await _own_addresses(services, principal, (*index.to, *index.cc, *authors))
    return Answered(listed, own, reply_to)


async def _own_addresses(services: Services, principal: Principal, named: Iterable[Address]) -> Mapping[str, str]:
    """The `own` of an Answered: of the addresses that its message names, those that the caller may send as.

    Raises AccountsUnavailable.
    """
    verified = await services.accounts.addresses(principal.user.id)
    reached: dict[str, str] = {}
    for address in {each.address for each in named}:
        canonical = find_canonical(address)
        if canonical is None or {*reachable_by(canonical)}.isdisjoint(verified):
            continue  # another's: the directory need not be asked
        if await services.submission.directory.owns(principal.user.id, canonical):
            reached[address.casefold()] = canonical
    return reached | {address.casefold(): address for address in verified}


async def forward(services: Services, principal: Principal, answered: Answered) -> Forwarded:
    """The message as an attachment, without Bcc and Return-Path, which are not for its readers.

    Raises MessageNotFound.
    """
    message = answered.listed.message
    raw = await (await services.store.open(principal.account_id, message.id)).read()
    header = Header(raw)
    removed = [*bcc_fields(header), *forged_fields(header, services.submission.server_name)]
    stem = _UNSAFE_IN_FILE_NAMES.sub("_", visible_line(message.index.subject))[:100].strip(" .") or "message"
    return Forwarded(b"".join((header.without(removed), memoryview(raw)[len(header.octets) :])), f"{stem}.eml")


def thread_references(message_ids: Iterable[str]) -> Sequence[str]:
    """Message-IDs as References has them: valid ones, each once, and of a long thread the root and the newest."""
    ids = [each for each in dict.fromkeys(message_ids) if _MESSAGE_ID.fullmatch(each)]
    return ids if len(ids) <= MAX_REFERENCES else [ids[0], *ids[1 - MAX_REFERENCES :]]


def reply_subject(subject: str) -> str:
    """The subject of a reply (RFC 5322 §3.6.5)."""
    return _prefixed("Re: ", _REPLY, subject)


def forward_subject(subject: str) -> str:
    """The subject of a forwarded message."""
    return _prefixed("Fwd: ", _FORWARD, subject)


def visible_line(text: str) -> str:
    """A text of a stranger in one line, without control characters."""
    return _CONTROLS.sub(" ", text)


def _prefixed(prefix: str, present: re.Pattern[str], subject: str) -> str:
    subject = visible_line(subject).strip()
    return (subject if present.match(subject) else prefix + subject)[:MAX_SUBJECT_CHARACTERS]


def _correspondents(addresses: Iterable[Address], without: Collection[str] = ()) -> tuple[Correspondent, ...]:
    seen = {address.casefold() for address in without}
    found: list[Correspondent] = []
    for name, address in addresses:
        if address.casefold() not in seen and is_address(address) and len(found) < MAX_FIELD_ADDRESSES:
            seen.add(address.casefold())
            found.append(Correspondent(address=address, name=visible_line(name)[:MAX_NAME_CHARACTERS]))
    return tuple(found)


def _addresses(correspondents: Iterable[Correspondent]) -> Iterable[Address]:
    return (Address(each.name, each.address) for each in correspondents)
