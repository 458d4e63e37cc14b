"""Two stacks send mail to each other; in Jaeger a message is followed from DATA at the first to FETCH at the second."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import permutations
from typing import NamedTuple

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import Account, message
from tests.containers.jaeger import Jaeger, Span
from tests.containers.project import Project, docker
from tests.containers.relaying import accepted_id, attempts, delivery, gateway, relaying, submit
from tests.containers.waiting import eventually
from tests.support.dns import dns_in_thread

pytestmark = pytest.mark.long


class System(NamedTuple):
    """A stack that is the MX of a domain, with a user in it."""

    project: Project
    jaeger: Jaeger
    domain: str
    user: Account

    @classmethod
    def start(cls, project: Project, jaeger: Jaeger, domain: str) -> "System":
        address = f"user@{domain}"
        return cls(project, jaeger, domain, Account(address, project.add_user(address)))

    @property
    def network(self) -> str:
        return f"{self.project.name}_mail"

    @property
    def records(self) -> str:
        networks = self.project.inspect("smtp")["NetworkSettings"]["Networks"]
        address = networks[self.network]["IPAddress"]
        return f"{self.domain} MX 10 mx.{self.domain}\nmx.{self.domain} A {address}"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A second stack."""
    prerequisites.require(prerequisites.missing())
    with Project(tmp_path_factory.mktemp("other")) as project:
        yield project


@pytest.fixture(scope="module")
def systems(stack: Project, jaeger: Jaeger, other: Project) -> Iterator[tuple[System, System]]:
    """Both stacks, each of which finds the other by the DNS and reaches it by its network."""
    with ExitStack() as until:
        other_jaeger = Jaeger(other.jaeger_url)
        until.callback(other_jaeger.close)
        both = System.start(stack, jaeger, "a.example"), System.start(other, other_jaeger, "b.example")
        dns = until.enter_context(dns_in_thread(host=gateway(stack)))
        for system in both:
            until.enter_context(relaying(system.project, RELAY_RESOLVER=dns.server))
        for here, there in permutations(both):
            (relay,) = here.project.containers("relay")
            docker("network", "connect", there.network, relay)
            dns.add(there.records)
        yield both


@pytest.mark.parametrize("backwards", [False, True], ids=["there", "back"])
def test_a_message_is_followed_from_data_to_fetch(systems: tuple[System, System], backwards: bool) -> None:
    first, second = reversed(systems) if backwards else systems
    message_id = submit(first.project, first.user, second.user.address, message("Over two stacks"))
    submitted = delivery(first.jaeger, message_id).one("smtp.transaction")

    (attempt,) = attempts(first.jaeger, submitted)
    assert attempt.one("relay.attempt").tags["relay.outcome"] == "accepted"
    (relayed_id,) = {accepted_id(span.tags.get("relay.reply.text", "")) for span in attempt} - {""}

    arrived = delivery(second.jaeger, relayed_id).one("smtp.transaction")
    with second.project.imap(*second.user) as client:
        client.select()
        assert client.fetch("1", "(BODY[])")[0] == "OK"
    (fetch,) = eventually(lambda: readers(second.jaeger, arrived))
    assert fetch.service == "relate-imap"


def readers(jaeger: Jaeger, transaction: Span) -> list[Span]:
    """The FETCH commands that returned the message of a transaction."""
    found = jaeger.traces("relate-imap", "imap.command.fetch")
    return [span for trace in found for span in trace.named("imap.command.fetch") if transaction.id in span.links]
