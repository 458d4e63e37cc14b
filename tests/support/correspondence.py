"""A correspondence through all services, in any edition: a letter, its answer, and a message that is refused.

    told = await correspond(edition, sink, hooks)
    check_steps(told, find_spans)

The letter comes by SMTP; a stream of events and IMAP's IDLE tell of it. The API gives it a label, IMAP reads it, and
the API answers it. The answer leaves signed. The sink refuses the recipient of another message: a report comes back.
"""

import asyncio
import smtplib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from secrets import token_hex
from ssl import SSLContext
from typing import Any, NamedTuple

import dkim
import httpx
import standardwebhooks

from tests.support.event_stream import EventParser, ServerSentEvent, following
from tests.support.imap.client import ImapClient, connected
from tests.support.imap.responses import Response, as_list, as_pairs
from tests.support.relay.sink import Answer, Message, Sink, reply
from tests.support.webhook_receiver import Receiver

TIMEOUT_SECONDS = 60.0
NEW_SECONDS = 1.0
"""The time from the reply to DATA to the event at a client of the stream."""
REFUSAL = "550 5.7.1 not wanted here"
LABEL = "work"


@dataclass(frozen=True)
class Edition:
    """What runs, and how it is reached. `relate_json` runs `relate … --json`."""

    api_url: str
    imap_port: int
    tls: SSLContext
    mx: Callable[[], AbstractContextManager[smtplib.SMTP]]
    add_user: Callable[[str], str]
    relate_json: Callable[..., Any]


Told = Mapping[str, Sequence[dict[str, Any]]]
"""The steps that `relate where` tells, by message."""

REPLY = "POST /api/emails/{email_id:uuid}/reply"
STEPS = {
    "letter": [
        ("received", "smtp", "smtp.transaction"),
        ("delivered", "smtp", "mailstore.deliver"),
        ("read", "imap", "imap.command.fetch"),
    ],
    "answer": [
        ("received", "api", REPLY),
        ("queued", "api", REPLY),
        ("appended", "api", "mailstore.deliver"),
        ("attempted", "relay", "relay.attempt"),
        ("relayed", "relay", "relay.command.mail"),
    ],
    "refused": [
        ("received", "api", "POST /api/emails"),
        ("queued", "api", "POST /api/emails"),
        ("appended", "api", "mailstore.deliver"),
        ("attempted", "relay", "relay.attempt"),
        ("bounced", "relay", "relay.command.rcpt"),
    ],
    "report": [("received", "relay", "mailstore.queue.settle"), ("delivered", "relay", "mailstore.queue.settle")],
}
"""The events of each message, the service that tells each, and a span of its trace."""


class Posts(NamedTuple):
    """Reads what a webhook is told."""

    receiver: Receiver
    secret: str

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The type and data of the next event. Raises WebhookVerificationError."""
        posted = await self.receiver.next()
        event = standardwebhooks.Webhook(self.secret).verify(posted.body, posted.fields)
        return event["type"], event["data"]


class Choosy(Sink):
    """A smarthost that refuses recipients whose names begin with `no`."""

    def answer(self, verb: str, arguments: str) -> Answer | None:
        """See `Sink.answer`."""
        return reply(REFUSAL) if arguments.upper().startswith("TO:<NO") else None


@dataclass(frozen=True)
class Correspondence:
    """What happens, in its order. `events` and `posts` are those of Alice, whose `mail_client` is idle in INBOX."""

    edition: Edition
    sink: Sink
    alice: str
    api: httpx.AsyncClient
    mail_client: ImapClient
    events: AsyncIterator[ServerSentEvent]
    posts: Posts
    ann: str = field(default_factory=lambda: f"ann.{token_hex(4)}@elsewhere.example")
    stranger: str = field(default_factory=lambda: f"nobody.{token_hex(4)}@elsewhere.example")
    """Another one in each test, because a refusal lists it."""

    async def receive(self) -> str:
        """The letter comes; returns its id."""
        accepted_at = await asyncio.to_thread(self._send_letter)
        event = await self._event("new")
        assert time.monotonic() - accepted_at < NEW_SECONDS
        assert (event["mailbox"], event["isRead"]) == ("INBOX", False)
        assert (await self._response("EXISTS")).number == 1
        kind, told = await self.posts.next()
        assert (kind, told["id"], told["recipient"]) == ("new", event["id"], self.alice)
        letter_id: str = event["id"]
        return letter_id

    async def label(self, letter_id: str) -> None:
        """The label that the API gives is a keyword that IDLE tells."""
        label = await self._post("/api/labels", name=LABEL, color="#3b82f6")
        given = await self.api.post(f"/api/labels/emails/{letter_id}", json={"labelId": label["id"]})
        assert given.is_success, given.text
        fetched = await self._response("FETCH")
        assert LABEL.encode() in as_list(as_pairs(as_list(fetched.values[0]))["FLAGS"])
        assert (await self._event("changed"))["labels"] == [LABEL]

    async def read(self, tag: str) -> None:
        """The mail client ends IDLE, and reads the letter."""
        await self.mail_client.done(tag)
        await self.mail_client.ok("FETCH 1 BODY[]")
        assert (await self._event("changed"))["isRead"]

    async def answer(self, letter_id: str, records: dict[str, bytes]) -> str:
        """The answer arrives signed at the sink; returns its id."""
        sent = await self._post(f"/api/emails/{letter_id}/reply", textBody="At noon.\n")
        assert sent["recipients"] == [{"address": self.ann, "state": "queued"}]
        told = await self._event("sent")
        assert (told["id"], told["recipient"], told["reason"]) == (sent["id"], self.ann, "relayed")
        assert await self.posts.next() == ("sent", {key: told[key] for key in ("id", "recipient", "reason", "reply")})
        (arrived,) = [each for each in self.sink.messages if each.recipients[0].address == self.ann]
        assert message_from_bytes(arrived.content)["Message-ID"] == f"<{sent['messageId']}>"
        verify_signatures(arrived, records)
        answer_id: str = sent["id"]
        return answer_id

    async def be_refused(self) -> tuple[str, str]:
        """A message to another recipient comes back; returns its id, and that of the report."""
        sent = await self._post("/api/emails", to=[{"address": self.stranger}], subject="Lunch", textBody="At noon?\n")
        told = await self._event("bounced")
        assert (told["id"], told["recipient"], told["reason"]) == (sent["id"], self.stranger, "bounced")
        assert told["reply"] == REFUSAL
        data = {key: told[key] for key in ("id", "recipient", "reason", "reply")}
        posted = [await self.posts.next() for _ in range(2)]  # the report itself is new mail
        assert ("bounced", data) in posted
        ((_, report),) = [each for each in posted if each[0] == "new"]
        content = (await self.api.get(f"/api/emails/{report['id']}/raw")).content
        assert f"Final-Recipient: rfc822; {self.stranger}".encode() in content
        return sent["id"], report["id"]

    def _send_letter(self) -> float:
        letter = EmailMessage(policy.SMTP)
        letter["From"], letter["To"], letter["Subject"] = self.ann, self.alice, "Lunch?"
        letter["Message-ID"] = f"<{token_hex(8)}@elsewhere.example>"
        letter.set_content("When?\n")
        with self.edition.mx() as client:
            client.send_message(letter)
            return time.monotonic()

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        response = await self.api.post(path, json=body)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    async def _event(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (event := await anext(self.events)).kind != kind:
                pass
        return event.data

    async def _response(self, kind: str) -> Response:
        """The next response of this kind, while the mail client is idle."""
        while (response := await self.mail_client.receive()) is not None and response.kind != kind:
            pass
        assert response is not None
        return response


async def correspond(edition: Edition, sink: Sink, hooks: Receiver) -> Told:
    """Correspond, and return what `relate where` tells.

    The edition's relay sends to `sink`, and its API trusts the certificate of `hooks`.
    """
    domain = f"{token_hex(4)}.example"
    alice = f"alice@{domain}"
    key = await asyncio.to_thread(edition.add_user, alice)
    await asyncio.to_thread(edition.relate_json, "domain", "add", domain)
    records = txt_records(await asyncio.to_thread(edition.relate_json, "domain", "dns", domain))
    async with AsyncExitStack() as stack:
        client = httpx.AsyncClient(
            base_url=edition.api_url,
            headers={"Authorization": f"Bearer {key}"},
            verify=edition.tls,
            timeout=TIMEOUT_SECONDS,
        )
        api = await stack.enter_async_context(client)
        wanted = {"url": hooks.url, "events": ["new", "sent", "bounced"]}
        posts = Posts(hooks, (await api.post("/api/webhooks", json=wanted)).json()["secret"])
        mail_client = await stack.enter_async_context(connected(edition.imap_port, edition.tls))
        await mail_client.log_in(alice, key)
        await mail_client.ok("SELECT INBOX")
        tag = await mail_client.idle()
        events = await stack.enter_async_context(following(api, EventParser()))
        correspondence = Correspondence(edition, sink, alice, api, mail_client, events, posts)
        letter = await correspondence.receive()
        await correspondence.label(letter)
        await correspondence.read(tag)
        answer = await correspondence.answer(letter, records)
        refused, report = await correspondence.be_refused()
    ids = {"letter": letter, "answer": answer, "refused": refused, "report": report}
    return {name: await _where(edition, each, len(STEPS[name])) for name, each in ids.items()}


async def _where(edition: Edition, message_id: str, steps: int) -> Sequence[dict[str, Any]]:
    """What `relate where` tells, once it tells so many steps: first reads are stored half a second later."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    told: Sequence[dict[str, Any]] = ()
    while len(told) < steps and time.monotonic() < deadline:
        told = await asyncio.to_thread(edition.relate_json, "where", message_id)
    return told


def check_steps(told: Told, find_spans: Callable[[str, str], Sequence[object]]) -> None:
    """Assert that the steps are `STEPS`. `find_spans` returns the spans of a trace that have a name."""
    for name, expected in STEPS.items():
        found = [(step["event"], step["service"]) for step in told[name]]
        assert found == [step[:2] for step in expected], f"the {name}: {found}"
        for step, (_, _, span_name) in zip(told[name], expected, strict=True):
            assert find_spans(step["traceId"], span_name), (name, step, span_name)


def txt_records(lines: list[str]) -> dict[str, bytes]:
    """The TXT records among lines of a zone file, by name."""
    records = (line.partition(". IN TXT ") for line in lines if " IN TXT " in line)
    return {name: "".join(value.split('"')[1::2]).encode() for name, _, value in records}


def verify_signatures(message: Message, records: dict[str, bytes]) -> None:
    """Assert that a message has a valid RSA signature (RFC 6376) by a key in the DNS."""
    signatures = message_from_bytes(message.content).get_all("DKIM-Signature", [])
    (number,) = [index for index, signature in enumerate(signatures) if "a=rsa-sha256" in signature]
    verifier = dkim.DKIM(message.content)
    assert verifier.verify(number, dnsfunc=lambda name, **_: records[name.decode().removesuffix(".")])
