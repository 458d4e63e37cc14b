"""Two replicas of each mail service behind HAProxy, beside another stack: addresses, instances, and a lost replica."""

import imaplib
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import SENDER, Account, message, new_account
from tests.containers.jaeger import Jaeger
from tests.containers.load import Load, stored_numbers
from tests.containers.project import Project, docker
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import eventually

OVERRIDE = "deploy/compose.scale.yaml"
REPLICATED = ("smtp", "pop3", "imap")
SESSIONS = 4  # two per replica, by leastconn
LOAD_MESSAGES = 150
REPLICAS = 2
SENDERS = 4

# Sends a message from within the network, where the client's address is known.
SEND = """
import smtplib, socket
client = smtplib.SMTP("haproxy", 2525, "mx.example.org")
client.sendmail("stranger@example.org", [{recipient!r}], b"Subject: From within\\r\\n\\r\\n")
print(client.sock.getsockname()[0])
client.quit()
"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The stack with two replicas of each mail service."""
    prerequisites.require(prerequisites.missing([OVERRIDE]))
    directory, scale = tmp_path_factory.mktemp("scaled"), dict.fromkeys(REPLICATED, REPLICAS)
    subnet = f"10.251.{secrets.randbelow(256)}.0/24"  # random, because Docker refuses the subnet of another project
    with Project(directory, [OVERRIDE], scale, MAIL_SUBNET=subnet) as project:
        yield project


@pytest.fixture(scope="module")
def resident(scaled: Project) -> Account:
    """A user of the scaled stack."""
    return new_account(scaled, "resident")


@pytest.fixture(scope="module")
def scaled_jaeger(scaled: Project) -> Iterator[Jaeger]:
    """A client of the scaled stack's Jaeger."""
    client = Jaeger(scaled.jaeger_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def scaled_prometheus(scaled: Project) -> Iterator[Prometheus]:
    """A client of the scaled stack's Prometheus."""
    client = Prometheus(scaled.prometheus_url)
    yield client
    client.close()


def test_stacks_do_not_collide(stack: Project, scaled: Project) -> None:
    here, there = (new_account(project, "twin") for project in (stack, scaled))
    with scaled.mx() as client:
        client.sendmail(SENDER, [there.address], message("There"))
    with stack.pop3(*here) as client:
        assert client.stat()[0] == 0
    with scaled.pop3(*there) as client:
        assert client.stat()[0] == 1


def test_spans_have_the_clients_address(scaled: Project, resident: Account, scaled_jaeger: Jaeger) -> None:
    program = SEND.format(recipient=resident.address)
    address = scaled.compose("exec", "--no-TTY", "pop3", "python", "-c", program).strip()
    (trace,) = eventually(lambda: scaled_jaeger.traces("relate-smtp", "smtp.session", {"client.address": address}))
    assert trace.one("smtp.session").tags["client.address"] == address
    proxy = docker(
        "inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", *scaled.containers("haproxy")
    )
    assert address != proxy.strip()


def test_metrics_distinguish_instances(scaled: Project, resident: Account, scaled_prometheus: Prometheus) -> None:
    with ExitStack() as sessions:
        for _ in range(SESSIONS):
            sessions.enter_context(scaled.mx()).ehlo()
        eventually(lambda: sorted(connections(scaled_prometheus)) == [SESSIONS / REPLICAS] * REPLICAS)
    assert len(scaled_prometheus.by("instance", "smtp_connections_active")) == REPLICAS


def connections(prometheus: Prometheus) -> list[float]:
    """The open SMTP connections of each instance."""
    return list(prometheus.by("instance", "smtp_connections_active").values())


def test_changes_are_pushed_across_replicas(scaled: Project, resident: Account) -> None:
    with ExitStack() as sessions:
        readers = [sessions.enter_context(scaled.imap(*resident)) for _ in range(REPLICAS)]  # one per replica
        for reader in readers:
            reader.select()
            reader.send(b"A1 IDLE\r\n")
            assert reader.readline().startswith(b"+")
        with scaled.mx() as client:
            client.sendmail(SENDER, [resident.address], message("Pushed"))
        with ThreadPoolExecutor(REPLICAS) as threads:
            responses = list(threads.map(lambda reader: reader.readline(), readers))
        assert all(line.rstrip().endswith(b"EXISTS") for line in responses)
        for reader in readers:
            reader.send(b"DONE\r\n")
            assert read_tagged_response(reader).startswith(b"A1 OK")


def read_tagged_response(reader: imaplib.IMAP4) -> bytes:
    """Read up to the tagged response."""
    return next(line for line in iter(reader.readline, b"") if line.startswith(b"A1 "))


def test_a_killed_replica_loses_only_its_connections(scaled: Project, resident: Account) -> None:
    with Load(scaled, resident.address, SENDERS) as load:
        load.wait_for(LOAD_MESSAGES)
        victim = scaled.containers("smtp")[0]
        docker("kill", "--signal=KILL", victim)
        killed = time.monotonic()
        load.wait_for(LOAD_MESSAGES)
        resumed = time.monotonic() - killed
    scaled.up(*REPLICATED)
    assert load.interrupted == SENDERS // REPLICAS
    assert load.deferred == 0
    assert resumed < 30
    assert not load.lost_or_doubled(stored_numbers(scaled, resident))
