"""Two of each mail service behind HAProxy, beside the other stack: who is who, and what the end of one costs."""

import imaplib
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import STRANGER, Account, message, new_account
from tests.containers.jaeger import Jaeger
from tests.containers.load import Load, stored_numbers
from tests.containers.project import Project, docker
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import eventually

OVERRIDE = "deploy/compose.scale.yaml"
REPLICATED = ("smtp", "pop3", "imap")
SESSIONS = 4  # leastconn: two for each
MANY = 150  # messages
MULTIPLIED = 2
SENDERS = 4

# Brings a message from within the network, where the client's address is one that we know.
BRING = """
import smtplib, socket
client = smtplib.SMTP("haproxy", 2525, "mx.example.org")
client.sendmail("stranger@example.org", [{recipient!r}], b"Subject: From within\\r\\n\\r\\n")
print(client.sock.getsockname()[0])
client.quit()
"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The stack with two of each, without what needs none of it."""
    prerequisites.require(prerequisites.trouble([OVERRIDE]))
    directory, scale = tmp_path_factory.mktemp("scaled"), dict.fromkeys(REPLICATED, MULTIPLIED)
    subnet = f"10.251.{secrets.randbelow(256)}.0/24"  # Docker refuses one that another project has
    with Project(directory, [OVERRIDE], scale, MAIL_SUBNET=subnet) as project:
        yield project


@pytest.fixture(scope="module")
def resident(scaled: Project) -> Account:
    """Somebody with mail there."""
    return new_account(scaled, "resident")


@pytest.fixture(scope="module")
def far_jaeger(scaled: Project) -> Iterator[Jaeger]:
    """Asks that stack's Jaeger."""
    client = Jaeger(scaled.jaeger_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def far_prometheus(scaled: Project) -> Iterator[Prometheus]:
    """Asks that stack's Prometheus."""
    client = Prometheus(scaled.prometheus_url)
    yield client
    client.close()


def test_stacks_do_not_collide(stack: Project, scaled: Project) -> None:
    here, there = (new_account(project, "twin") for project in (stack, scaled))
    with scaled.mx() as client:
        client.sendmail(STRANGER, [there.address], message("There"))
    with stack.pop3(*here) as client:
        assert client.stat()[0] == 0
    with scaled.pop3(*there) as client:
        assert client.stat()[0] == 1


def test_spans_have_the_clients_own_address(scaled: Project, resident: Account, far_jaeger: Jaeger) -> None:
    program = BRING.format(recipient=resident.address)
    address = scaled.compose("exec", "--no-TTY", "pop3", "python", "-c", program).strip()
    (trace,) = eventually(lambda: far_jaeger.traces("relate-smtp", "smtp.session", {"client.address": address}))
    assert trace.one("smtp.session").tags["client.address"] == address
    proxy = docker(
        "inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", *scaled.containers("haproxy")
    )
    assert address != proxy.strip()


def test_instances_are_kept_apart(scaled: Project, resident: Account, far_prometheus: Prometheus) -> None:
    with ExitStack() as sessions:
        for _ in range(SESSIONS):
            sessions.enter_context(scaled.mx()).ehlo()
        eventually(lambda: sorted(connections(far_prometheus)) == [SESSIONS / MULTIPLIED] * MULTIPLIED)
    assert len(far_prometheus.by("instance", "smtp_connections_active")) == MULTIPLIED


def connections(prometheus: Prometheus) -> list[float]:
    """Open SMTP connections of each instance."""
    return list(prometheus.by("instance", "smtp_connections_active").values())


def test_idle_is_told_across_replicas(scaled: Project, resident: Account) -> None:
    with ExitStack() as sessions:
        readers = [sessions.enter_context(scaled.imap(*resident)) for _ in range(MULTIPLIED)]  # one on each
        for reader in readers:
            reader.select()
            reader.send(b"A1 IDLE\r\n")
            assert reader.readline().startswith(b"+")
        with scaled.mx() as client:
            client.sendmail(STRANGER, [resident.address], message("Pushed"))
        with ThreadPoolExecutor(MULTIPLIED) as threads:
            told = list(threads.map(lambda reader: reader.readline(), readers))
        assert all(line.rstrip().endswith(b"EXISTS") for line in told)
        for reader in readers:
            reader.send(b"DONE\r\n")
            assert tagged(reader).startswith(b"A1 OK")


def tagged(reader: imaplib.IMAP4) -> bytes:
    """The line that ends a command, after whatever is told before it."""
    return next(line for line in iter(reader.readline, b"") if line.startswith(b"A1 "))


def test_a_replica_that_dies_costs_its_own_connections_only(scaled: Project, resident: Account) -> None:
    with Load(scaled, resident.address, SENDERS) as load:
        load.wait_for(MANY)
        victim = scaled.containers("smtp")[0]
        docker("kill", "--signal=KILL", victim)
        killed = time.monotonic()
        load.wait_for(MANY)
        resumed = time.monotonic() - killed
    docker("start", victim)
    assert load.interrupted == SENDERS // MULTIPLIED
    assert load.deferred == 0
    assert resumed < 30
    assert not load.faults_of(stored_numbers(scaled, resident))
