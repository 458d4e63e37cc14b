"""Compares what the event log says of random mail with what its clients, the mailboxes and other servers say."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from relate_accounts.types import User
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.journey_search import JourneySearch, find_journeys
from relate_mailstore.journeys import EndState, Journey
from relate_mailstore.sql.events.log import GATHER_SECONDS, RETRY_SECONDS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Flag, MessageId
from tests.integration.sending.ends.clients import Accounts
from tests.integration.sending.ends.mails import Action, Mail, To, Way
from tests.integration.sending.processes import Processes, copies, is_explained
from tests.support.relay.sink import Message, Sink

PAGE_JOURNEYS = 500
FORGOTTEN_SECONDS = GATHER_SECONDS + RETRY_SECONDS + 1.0  # from a refusal, or a first read, until it is stored

_ENDS = {
    To.ACCEPTING: EndState.RELAYED,
    To.LATER: EndState.RELAYED,
    To.REFUSING: EndState.BOUNCED,
    To.NEVER: EndState.CANCELLED,
}
_ENDS_OF_ACTIONS = {Action.READ: EndState.READ, Action.DELETE: EndState.DELETED}
_IN_MAILBOX = {EndState.DELIVERED, EndState.READ, EndState.APPENDED}


class Place(NamedTuple):
    """An entry of a message in an account."""

    mailbox: str
    uid: int
    flags: int


Places = Mapping[tuple[AccountId, MessageId], Sequence[Place]]


class Verdict:
    """Everything that is known at the end; `faults` says in words what does not fit together."""

    def __init__(  # noqa: PLR0917 - what it compares
        self,
        mails: Sequence[Mail],
        accounts: Accounts,
        users: Mapping[str, User],
        journeys: Sequence[Journey],
        places: Places,
        sinks: Sequence[Sink],
        processes: Processes,
    ) -> None:
        self._mails = mails
        self._accounts = accounts
        self._ids = {address: AccountId(user.id) for address, user in users.items()}
        self._journeys = journeys
        self._places = places
        self._sinks = sinks
        self._kills = [kill.time for kill in processes.kills]

    def faults(self) -> list[str]:
        """What is wrong; nothing if each mail has exactly one true end."""
        by_mail: defaultdict[str, list[Journey]] = defaultdict(list)
        for journey in self._journeys:
            by_mail[journey.header_message_id].append(journey)
        faults = [*self._faults_of_refusals(by_mail.pop("", []))]
        arrived = copies(self._sinks)
        for mail in self._mails:
            found = by_mail.pop(mail.message_id, [])
            faults += (f"{mail}: {fault}" for fault in self._faults_of(mail, found))
            faults += (f"{mail}: {fault}" for fault in self._faults_of_copies(mail, found, arrived))
        faults += self._faults_of_reports([each for rest in by_mail.values() for each in rest])
        return [*faults, *self._untold_places()]

    def summary(self) -> str:
        """How many recipients came to which end, and what the kills have cost."""
        ends = Counter(end.state.value for journey in self._journeys for end in journey.ends)
        lost = sum(bool(mail.lost) for mail in self._mails)
        forgotten = sum(self._is_forgotten(moment) for mail in self._mails for moment in mail.refused)
        return f"{dict(ends.most_common())}; {lost} replies were lost, {forgotten} refusals came just before a kill"

    # --- mail that was accepted

    def _faults_of(self, mail: Mail, found: Sequence[Journey]) -> Iterator[str]:
        known = len(mail.accepted) + mail.appended
        most = (
            known if mail.way is Way.API_WITH_KEY else known + mail.lost
        )  # what is repeated with its key is sent once
        if not known <= len(found) <= most:
            yield f"{len(found)} messages"
        for journey in found:
            if str(journey.message_id) not in mail.accepted and not mail.lost and not mail.appended:
                yield f"{journey.message_id} is not what the client was told"
            for event in journey.events:
                if event.name is EventName.RECEIVED and event.sender != self._accounts.sender(mail):
                    yield f"received from {event.sender}"
            yield from self._faults_of_ends(mail, journey)

    def _faults_of_ends(self, mail: Mail, journey: Journey) -> Iterator[str]:
        ends = {end.recipient: end.state for end in journey.ends}
        expected = {"" if mail.way is Way.APPEND else self._accounts.of(mail): self._expected(mail, journey)}
        if mail.way in {Way.API, Way.API_WITH_KEY}:
            expected[""] = {EndState.APPENDED}  # in Sent
        if len(journey.ends) != len(ends) or ends.keys() != expected.keys():
            yield f"ends {journey.ends}"
            return
        for address, state in ends.items():
            if state not in expected[address]:
                yield f"{address or 'the copy'} is {state}, not {expected[address]}"
            if state in _IN_MAILBOX | {EndState.DELETED}:
                yield from self._faults_of_place(journey, self._ids.get(address) or self._copy_owner(mail), state)

    def _expected(self, mail: Mail, journey: Journey) -> set[EndState]:
        if mail.way is Way.APPEND:
            return {EndState.APPENDED}
        state = _ENDS.get(mail.to, EndState.DELIVERED)
        end = _ENDS_OF_ACTIONS.get(mail.action)
        if end is None or not mail.accepted or str(journey.message_id) != mail.accepted[-1]:
            return {state}
        if end is EndState.READ and (mail.failures or self._is_forgotten(mail.acted)):
            return {end, state}  # the flag may be set twice, the first time by a process that is killed
        return {end}

    def _is_forgotten(self, moment: float | None) -> bool:
        """Whether a kill may have come between this moment and the commit that stores what happened."""
        return moment is not None and any(0 <= kill - moment <= FORGOTTEN_SECONDS for kill in self._kills)

    def _copy_owner(self, mail: Mail) -> AccountId:
        return self._ids[(self._accounts.bob if mail.way is Way.APPEND else self._accounts.ann).address]

    def _faults_of_place(self, journey: Journey, owner: AccountId, state: EndState) -> Iterator[str]:
        places = self._places.get((owner, journey.message_id), ()) if journey.message_id else ()
        if (state in _IN_MAILBOX) != (len(places) == 1):
            yield f"{state}, but in {places}"
            return
        if places:
            told = _last_place(journey.events, owner)
            if told != (places[0].mailbox, places[0].uid):
                yield f"told in {told}, but in {places[0]}"
            if state is EndState.READ and not places[0].flags & Flag.SEEN:
                yield "told as read, but not \\Seen"

    # --- mail that was refused

    def _faults_of_refusals(self, refusals: Sequence[Journey]) -> Iterator[str]:
        told = Counter((each.events[0].sender, each.events[0].recipient) for each in refusals)
        for each in refusals:
            if [end.state for end in each.ends] != [EndState.REFUSED] or len(each.events) != 1:
                yield f"refusal {each}"
        least, most = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for mail in self._mails:
            key = (self._accounts.sender(mail), "" if not mail.is_allowed else self._accounts.of(mail))
            least[key] += sum(not self._is_forgotten(moment) for moment in mail.refused)
            most[key] += len(mail.refused) + mail.failures
            if mail.is_refusable and mail.accepted:
                yield f"{mail}: accepted"
        for key in told.keys() | most.keys():
            if not least[key] <= told[key] <= most[key]:
                yield f"{told[key]} refusals of {key}, at least {least[key]}, at most {most[key]}"

    # --- other servers

    def _faults_of_copies(
        self, mail: Mail, found: Sequence[Journey], arrived: Mapping[str, Sequence[Message]]
    ) -> Iterator[str]:
        if mail.to not in _ENDS:
            return
        accepted = [each for each in arrived.get(mail.address, []) if each.accepted]
        relayed = sum(end.state is EndState.RELAYED for each in found for end in each.ends)
        excess = len(accepted) - relayed
        if excess < 0 or (excess and excess > sum(is_explained(each, self._sinks) for each in accepted)):
            yield f"{len(accepted)} copies arrived, {relayed} are told as relayed"

    def _faults_of_reports(self, journeys: Sequence[Journey]) -> Iterator[str]:
        """What has another Message-ID is a report to ann, one for each bounce."""
        ann = self._accounts.ann.address
        bounces = sum(end.state is EndState.BOUNCED for each in self._journeys for end in each.ends)
        if len(journeys) != bounces:
            yield f"{len(journeys)} reports of {bounces} bounces"
        for journey in journeys:
            if [(end.recipient, end.state) for end in journey.ends] != [(ann, EndState.DELIVERED)]:
                yield f"report {journey}"
            else:
                yield from self._faults_of_place(journey, self._ids[ann], EndState.DELIVERED)

    def _untold_places(self) -> Iterator[str]:
        told = {journey.message_id for journey in self._journeys}
        return (f"{places} of {key} are untold" for key, places in self._places.items() if key[1] not in told)


def _last_place(events: Sequence[Event], owner: AccountId) -> tuple[object, object]:
    """The mailbox and the UID of the last event that names both."""
    told: tuple[object, object] = ("", 0)
    for event in events:
        if event.account_id == owner and "uid" in event.detail:
            told = event.detail.get("to", event.detail.get("mailbox")), event.detail["uid"]
    return told


async def read_journeys(store: SqlMailStore) -> list[Journey]:
    """All journeys of the event log, page by page."""
    found: list[Journey] = []
    before: float | None = time.time() + 1
    while before is not None:
        page = await find_journeys(store.events, JourneySearch(before=before, limit=PAGE_JOURNEYS))
        found += page.journeys
        before = page.next_before
    return found


async def read_places(store: SqlMailStore, account_ids: Sequence[AccountId]) -> Places:
    """Where each message of these accounts is."""
    places: defaultdict[tuple[AccountId, MessageId], list[Place]] = defaultdict(list)
    for account_id in account_ids:
        for mailbox in await store.mailboxes(account_id):
            for entry in (await store.snapshot(account_id, mailbox.name)).entries:
                places[account_id, entry.message_id].append(Place(mailbox.name, entry.uid, entry.flags))
    return places
