"""Telemetry of IMAP: a span per command with its state; logins, selections, pushes; links to deliveries; metrics that
equal the client's own counts."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from relate_imap.commands import UNKNOWN
from relate_imap.session import COMMANDS
from tests.integration.product.accounts import Account, message
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS, linked
from tests.support.product import HOST, TIMEOUT_SECONDS, Product
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import OtlpReceiver
from tests.support.telemetry.registry import undeclared

pytestmark = pytest.mark.xdist_group("product-telemetry-imap")

METRICS = {
    "imap.messages.retrieved": ("counter", "messages"),
    "imap.bytes.sent": ("counter", "bytes"),
    "imap.auth.attempts": ("counter", "attempts"),
    "imap.auth.failures": ("counter", "failures"),
    "imap.commands": ("counter", "commands"),
    "imap.sessions.active": ("updowncounter", "sessions"),
}
UNKNOWN_COMMANDS = ("XQZ1", "XQZ2 argument")
EXTERNAL_SENDER = "stranger@example.org"


class CountingClient:
    """Counts commands and the octets of their responses; the greeting belongs to no command."""

    def __init__(self, product: Product, commands: Counter[str]) -> None:
        self._socket = socket.create_connection((HOST, product.ports["Imap__Port"]), timeout=TIMEOUT_SECONDS)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self._commands = commands
        self.octets = 0

    def send_command(self, line: str, verb: str | None = None) -> bytes:
        """Send a command; returns all responses up to the tagged one."""
        self._commands[verb or line.split(maxsplit=1)[0]] += 1
        self._socket.sendall(f"t {line}\r\n".encode())
        lines = [self.read_line()]
        while not lines[-1].startswith(b"t "):
            lines.append(self.read_line())
        return b"".join(lines)

    def idle(self) -> None:
        """Send IDLE."""
        self._commands["IDLE"] += 1
        self._socket.sendall(b"t IDLE\r\n")
        assert self.read_line().startswith(b"+ ")

    def done(self) -> bytes:
        """Send DONE; returns the next line."""
        self._socket.sendall(b"DONE\r\n")
        return self.read_line()

    def read_line(self) -> bytes:
        """Read the next line."""
        line = self._file.readline()
        self.octets += len(line)
        return line

    def close(self) -> None:
        """Close the connection without LOGOUT."""
        self._file.close()
        self._socket.close()


@dataclass
class Scenario:
    """What the client did, and the receiver of the telemetry."""

    receiver: OtlpReceiver
    alice: Account
    commands: Counter[str] = field(default_factory=Counter)
    octets: int = 0
    logins: int = 0
    failures: int = 0

    def spans(self) -> list[ReceivedSpan]:
        return [span for span in self.receiver.spans() if span.name.startswith("imap.command.")]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Deliver mail; read, flag and copy it; idle; fail a login."""
    with OtlpReceiver() as receiver:
        with Product(
            tmp_path_factory.mktemp("imap"), Otel__Endpoint=receiver.endpoint, **SHORT_EXPORT_INTERVALS
        ) as product:
            product.start()
            scenario = Scenario(receiver, Account.create(product, "alice"))
            deliver(product, scenario.alice, 3)
            read_mail(product, scenario)
            idle_until_push(product, scenario)
            fail_login(product, scenario)
        yield scenario


def deliver(product: Product, account: Account, count: int) -> None:
    with product.mx() as mx:
        for _ in range(count):
            mx.sendmail(EXTERNAL_SENDER, [account.address], message(EXTERNAL_SENDER, account.address).as_bytes())


def read_mail(product: Product, scenario: Scenario) -> None:
    client = CountingClient(product, scenario.commands)
    client.send_command("CAPABILITY")
    log_in(client, scenario, scenario.alice)
    client.send_command('LIST "" *')
    client.send_command("SELECT INBOX")
    assert client.send_command("FETCH 1:3 (FLAGS ENVELOPE)").count(b" FETCH (") == 3
    assert client.send_command("FETCH 1:2 BODY[]").count(b" FETCH (") == 2
    client.send_command("UID FETCH 1 (UID RFC822.SIZE)", "UID FETCH")
    client.send_command("STORE 1 +FLAGS (\\Flagged)")
    client.send_command("UID COPY 1:2 Archive", "UID COPY")
    client.send_command("SEARCH UNSEEN")
    for command in UNKNOWN_COMMANDS:
        assert b"BAD" in client.send_command(command, "UNKNOWN")
    client.send_command("CLOSE")
    client.send_command("EXAMINE Archive")
    client.send_command("LOGOUT")
    scenario.octets += client.octets
    client.close()


def idle_until_push(product: Product, scenario: Scenario) -> None:
    client = CountingClient(product, scenario.commands)
    log_in(client, scenario, scenario.alice)
    client.send_command("SELECT INBOX")
    client.idle()
    deliver(product, scenario.alice, 1)
    assert b"EXISTS" in client.read_line()
    client.read_line()  # RECENT
    scenario.receiver.wait_for(lambda now: now.spans("imap.push"))  # exported while the command is still running
    assert not scenario.receiver.spans("imap.command.idle")
    scenario.receiver.wait_for(lambda now: now.total("imap.sessions.active") == 1)
    assert b"t OK" in client.done()
    client.send_command("LOGOUT")
    scenario.octets += client.octets
    client.close()


def fail_login(product: Product, scenario: Scenario) -> None:
    client = CountingClient(product, scenario.commands)
    log_in(client, scenario, scenario.alice._replace(key="wrong"))
    client.send_command("LOGOUT")
    scenario.octets += client.octets
    client.close()


def log_in(client: CountingClient, scenario: Scenario, account: Account) -> None:
    response = client.send_command(f"LOGIN {account.address} {account.key}")
    scenario.logins += 1
    scenario.failures += b"t NO" in response


def test_every_command_has_a_span_with_session_command_and_state(scenario: Scenario) -> None:
    spans = scenario.spans()
    assert Counter(span.attributes["imap.command"] for span in spans) == scenario.commands
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


def test_all_telemetry_is_declared_in_the_registry(scenario: Scenario) -> None:
    assert undeclared(scenario.receiver) == []


def test_every_command_is_a_separate_trace_linked_to_its_session(scenario: Scenario) -> None:
    sessions = {span.traceparent for span in scenario.receiver.spans("imap.session")}
    assert len(sessions) == 3
    spans = scenario.spans()
    assert len({span.trace_id for span in spans}) == len(spans)
    assert all(sessions & set(linked(span)) for span in spans)


def test_a_fetch_is_linked_to_the_deliveries_of_its_messages(scenario: Scenario) -> None:
    deliveries = {span.traceparent for span in scenario.receiver.spans("smtp.transaction")}
    (fetch,) = [span for span in scenario.receiver.spans("imap.command.fetch") if len(linked(span)) == 3]
    assert len(deliveries & set(linked(fetch))) == 2


def test_messages_of_one_fetch_are_opened_by_one_operation(scenario: Scenario) -> None:
    opened = scenario.receiver.span("mailstore.open_all")
    assert opened.attributes["mailstore.messages"] == 2
    assert opened.attributes["mailstore.ahead"] == 1
    fetches = {span.span_id for span in scenario.receiver.spans("imap.command.fetch")}
    assert opened.parent_id in fetches


def test_a_copy_is_linked_to_the_deliveries_of_its_messages(scenario: Scenario) -> None:
    deliveries = {span.traceparent for span in scenario.receiver.spans("smtp.transaction")}
    assert len(deliveries & set(linked(scenario.receiver.span("imap.command.uid_copy")))) == 2


def test_a_push_is_linked_to_the_delivery_and_measures_its_latency(scenario: Scenario) -> None:
    deliveries = {span.traceparent for span in scenario.receiver.spans("smtp.transaction")}
    (push,) = [span for span in scenario.receiver.spans("imap.push") if linked(span)]
    assert set(linked(push)) <= deliveries
    assert push.parent_id == scenario.receiver.span("imap.command.idle").span_id
    assert [point.count for point in scenario.receiver.metric("imap.push.latency")] == [1]


def test_a_selection_is_a_span_with_mailbox_and_count(scenario: Scenario) -> None:
    selections = [
        (span.attributes["imap.mailbox.name"], span.attributes["imap.mailbox.read_only"])
        for span in scenario.receiver.spans("imap.mailbox.select")
    ]
    assert sorted(selections) == [("Archive", True), ("INBOX", False), ("INBOX", False)]
    counts = {span.attributes["imap.mailbox.message_count"] for span in scenario.receiver.spans("imap.mailbox.select")}
    assert counts == {2, 3}


def test_logins_have_spans_with_attributes(scenario: Scenario) -> None:
    logins = scenario.receiver.spans("imap.auth.validate")
    assert [span.attributes["imap.auth.success"] for span in logins].count(True) == 2
    (failed,) = [span for span in logins if not span.attributes["imap.auth.success"]]
    assert failed.attributes["imap.auth.failure_reason"] == "invalid_key"
    assert failed.attributes["imap.auth.user"] == scenario.alice.address


@pytest.mark.parametrize("name", METRICS)
def test_metrics_have_the_contracted_names_kinds_and_units(scenario: Scenario, name: str) -> None:
    points = scenario.receiver.metric(name)
    assert points
    for point in points:
        assert (point.kind, point.unit) == METRICS[name]
        assert point.scope == "Relate.Imap"
        assert set(point.attributes) == ({"command"} if name == "imap.commands" else set())


def test_metrics_equal_the_clients_counts(scenario: Scenario) -> None:
    counted = {point.attributes["command"]: point.value for point in scenario.receiver.metric("imap.commands")}
    assert counted == dict.fromkeys((*COMMANDS, UNKNOWN), 0) | dict(scenario.commands)
    assert scenario.receiver.total("imap.messages.retrieved") == 2
    assert scenario.receiver.total("imap.auth.attempts") == scenario.logins == 3
    assert scenario.receiver.total("imap.auth.failures") == scenario.failures == 1
    assert scenario.receiver.total("imap.sessions.active") == 0
    assert scenario.receiver.total("imap.bytes.sent") == scenario.octets


def test_unknown_commands_and_mailbox_names_are_no_labels(scenario: Scenario) -> None:
    for point in [*scenario.receiver.metric("imap.commands"), *scenario.receiver.metric("imap.command.duration")]:
        assert not {"XQZ1", "INBOX", "Archive"} & set(map(str, point.attributes.values()))
