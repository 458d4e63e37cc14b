"""What is seen of IMAP: a span for each command, with its state; logins, selections, pushes; links to the deliveries;
counts that are compared with what the client did."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.integration.product.accounts import Account, message
from tests.integration.product.told import QUICK, linked
from tests.support.product import HOST, TIMEOUT_SECONDS, Product
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import OtlpReceiver

pytestmark = pytest.mark.xdist_group("product-telemetry-imap")

METRICS = {
    "imap.messages.retrieved": ("counter", "messages"),
    "imap.bytes.sent": ("counter", "bytes"),
    "imap.auth.attempts": ("counter", "attempts"),
    "imap.auth.failures": ("counter", "failures"),
    "imap.commands": ("counter", "commands"),
    "imap.sessions.active": ("updowncounter", "sessions"),
}
NONSENSE = ("XQZ1", "XQZ2 argument")
STRANGER = "stranger@example.org"


class Client:
    """Says lines, counts commands and the octets of their answers; the greeting answers none."""

    def __init__(self, product: Product, commands: Counter[str]) -> None:
        self._socket = socket.create_connection((HOST, product.ports["Imap__Port"]), timeout=TIMEOUT_SECONDS)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self._commands = commands
        self.octets = 0

    def do(self, line: str, verb: str | None = None) -> bytes:
        """A command, and its whole answer."""
        self._commands[verb or line.split(maxsplit=1)[0]] += 1
        self._socket.sendall(f"t {line}\r\n".encode())
        lines = [self.line()]
        while not lines[-1].startswith(b"t "):
            lines.append(self.line())
        return b"".join(lines)

    def idle(self) -> None:
        """Begin to wait."""
        self._commands["IDLE"] += 1
        self._socket.sendall(b"t IDLE\r\n")
        assert self.line().startswith(b"+ ")

    def done(self) -> bytes:
        """Wait no more."""
        self._socket.sendall(b"DONE\r\n")
        return self.line()

    def line(self) -> bytes:
        """The next line."""
        line = self._file.readline()
        self.octets += len(line)
        return line

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


@dataclass
class Story:
    """What was done."""

    seen: OtlpReceiver
    alice: Account
    commands: Counter[str] = field(default_factory=Counter)
    octets: int = 0
    logins: int = 0
    failures: int = 0

    def spans(self) -> list[ReceivedSpan]:
        return [span for span in self.seen.spans() if span.name.startswith("imap.command.")]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Mail comes, is read, flagged, copied; somebody waits for more; somebody mistypes."""
    with OtlpReceiver() as seen:
        with Product(tmp_path_factory.mktemp("imap"), Otel__Endpoint=seen.endpoint, **QUICK) as product:
            product.start()
            story = Story(seen, Account.create(product, "alice"))
            deliver(product, story.alice, 3)
            read(product, story)
            wait(product, story)
            mistype(product, story)
        yield story


def deliver(product: Product, account: Account, count: int) -> None:
    with product.mx() as mx:
        for _ in range(count):
            mx.sendmail(STRANGER, [account.address], message(STRANGER, account.address).as_bytes())


def read(product: Product, story: Story) -> None:
    client = Client(product, story.commands)
    client.do("CAPABILITY")
    log_in(client, story, story.alice)
    client.do('LIST "" *')
    client.do("SELECT INBOX")
    assert client.do("FETCH 1:3 (FLAGS ENVELOPE)").count(b" FETCH (") == 3
    assert client.do("FETCH 1:2 BODY[]").count(b" FETCH (") == 2
    client.do("UID FETCH 1 (UID RFC822.SIZE)", "UID FETCH")
    client.do("STORE 1 +FLAGS (\\Flagged)")
    client.do("UID COPY 1:2 Archive", "UID COPY")
    client.do("SEARCH UNSEEN")
    for nonsense in NONSENSE:
        assert b"BAD" in client.do(nonsense, "UNKNOWN")
    client.do("CLOSE")
    client.do("EXAMINE Archive")
    client.do("LOGOUT")
    story.octets += client.octets
    client.close()


def wait(product: Product, story: Story) -> None:
    client = Client(product, story.commands)
    log_in(client, story, story.alice)
    client.do("SELECT INBOX")
    client.idle()
    deliver(product, story.alice, 1)
    assert b"EXISTS" in client.line()
    client.line()  # RECENT
    story.seen.wait_for(lambda now: now.spans("imap.push"))  # seen while the command goes on
    assert not story.seen.spans("imap.command.idle")
    story.seen.wait_for(lambda now: now.total("imap.sessions.active") == 1)
    assert b"t OK" in client.done()
    client.do("LOGOUT")
    story.octets += client.octets
    client.close()


def mistype(product: Product, story: Story) -> None:
    client = Client(product, story.commands)
    log_in(client, story, story.alice._replace(key="wrong"))
    client.do("LOGOUT")
    story.octets += client.octets
    client.close()


def log_in(client: Client, story: Story, account: Account) -> None:
    answer = client.do(f"LOGIN {account.address} {account.key}")
    story.logins += 1
    story.failures += b"t NO" in answer


def test_every_command_has_a_span_with_session_command_and_state(story: Story) -> None:
    spans = story.spans()
    assert Counter(span.attributes["imap.command"] for span in spans) == story.commands
    for span in spans:
        assert span.name == f"imap.command.{span.attributes['imap.command'].lower().replace(' ', '_')}"
        assert span.attributes["imap.session_id"]
        assert span.scope == "Relate.Imap"
    states = {(span.attributes["imap.command"], span.attributes["imap.state"]) for span in spans}
    assert states >= {
        ("LOGIN", "not authenticated"),
        ("SELECT", "authenticated"),
        ("FETCH", "selected"),
        ("IDLE", "selected"),
        ("LOGOUT", "selected"),
    }


def test_every_command_is_a_trace_of_its_own_linked_to_its_session(story: Story) -> None:
    sessions = {span.traceparent for span in story.seen.spans("imap.session")}
    assert len(sessions) == 3
    spans = story.spans()
    assert len({span.trace_id for span in spans}) == len(spans)
    assert all(sessions & set(linked(span)) for span in spans)


def test_a_fetch_is_linked_to_the_transactions_that_delivered_what_it_read(story: Story) -> None:
    deliveries = {span.traceparent for span in story.seen.spans("smtp.transaction")}
    (fetch,) = [span for span in story.seen.spans("imap.command.fetch") if len(linked(span)) == 3]
    assert len(deliveries & set(linked(fetch))) == 2


def test_messages_that_are_read_together_are_opened_by_one_operation(story: Story) -> None:
    opened = story.seen.span("mailstore.open_all")
    assert opened.attributes["mailstore.messages"] == 2
    assert opened.attributes["mailstore.ahead"] == 1
    fetches = {span.span_id for span in story.seen.spans("imap.command.fetch")}
    assert opened.parent_id in fetches


def test_a_copy_is_linked_to_the_deliveries_too(story: Story) -> None:
    deliveries = {span.traceparent for span in story.seen.spans("smtp.transaction")}
    assert len(deliveries & set(linked(story.seen.span("imap.command.uid_copy")))) == 2


def test_a_push_is_linked_to_the_delivery_and_lasts_from_commit_to_push(story: Story) -> None:
    deliveries = {span.traceparent for span in story.seen.spans("smtp.transaction")}
    (push,) = [span for span in story.seen.spans("imap.push") if linked(span)]
    assert set(linked(push)) <= deliveries
    assert push.parent_id == story.seen.span("imap.command.idle").span_id
    assert [point.count for point in story.seen.metric("imap.push.latency")] == [1]


def test_a_selection_is_a_span_with_mailbox_and_count(story: Story) -> None:
    selections = [
        (span.attributes["imap.mailbox.name"], span.attributes["imap.mailbox.read_only"])
        for span in story.seen.spans("imap.mailbox.select")
    ]
    assert sorted(selections) == [("Archive", True), ("INBOX", False), ("INBOX", False)]
    counts = {span.attributes["imap.mailbox.message_count"] for span in story.seen.spans("imap.mailbox.select")}
    assert counts == {2, 3}


def test_logins_are_spans_with_their_tags(story: Story) -> None:
    logins = story.seen.spans("imap.auth.validate")
    assert [span.attributes["imap.auth.success"] for span in logins].count(True) == 2
    (failed,) = [span for span in logins if not span.attributes["imap.auth.success"]]
    assert failed.attributes["imap.auth.failure_reason"] == "invalid_key"
    assert failed.attributes["imap.auth.user"] == story.alice.address


@pytest.mark.parametrize("name", METRICS)
def test_metrics_have_the_names_kinds_and_units_of_the_contract(story: Story, name: str) -> None:
    points = story.seen.metric(name)
    assert points
    for point in points:
        assert (point.kind, point.unit) == METRICS[name]
        assert point.scope == "Relate.Imap"
        assert set(point.attributes) == ({"command"} if name == "imap.commands" else set())


def test_metrics_say_what_was_done(story: Story) -> None:
    counted = {point.attributes["command"]: point.value for point in story.seen.metric("imap.commands")}
    assert counted == dict(story.commands)
    assert story.seen.total("imap.messages.retrieved") == 2
    assert story.seen.total("imap.auth.attempts") == story.logins == 3
    assert story.seen.total("imap.auth.failures") == story.failures == 1
    assert story.seen.total("imap.sessions.active") == 0
    assert story.seen.total("imap.bytes.sent") == story.octets


def test_nonsense_and_names_of_mailboxes_are_no_labels(story: Story) -> None:
    for point in [*story.seen.metric("imap.commands"), *story.seen.metric("imap.command.duration")]:
        assert not {"XQZ1", "INBOX", "Archive"} & set(map(str, point.attributes.values()))
