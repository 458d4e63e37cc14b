"""Turns on the relay of a stack, whose other servers are on this machine, and finds what it does in Jaeger."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.containers.accounts import Account
from tests.containers.jaeger import Jaeger, Span, Trace
from tests.containers.project import Project, docker
from tests.containers.waiting import eventually

OVERRIDE = "tests/containers/compose.relay.yaml"
ACCEPTED = "2.6.0 Accepted as "
"""Our reply to a message, before the id of the message."""


def gateway(stack: Project, network: str = "internet") -> str:
    """This machine's address in a network of the stack, by default the relay's."""
    (found,) = json.loads(docker("network", "inspect", f"{stack.name}_{network}"))
    address: str = found["IPAM"]["Config"][0]["Gateway"]
    return address


@contextmanager
def relaying(stack: Project, *overrides: str, services: Sequence[str] = ("smtp",), **settings: str) -> Iterator[None]:
    """Let users send to other servers inside the block, by these services.

    `settings` are variables of `.env`, of our override and of further `overrides`.
    """
    try:
        stack.up(*services, "relay", overrides=[OVERRIDE, *overrides], RELAY_ENABLED="true", **settings)
        yield
    finally:
        stack.up(*services, "relay")


def submit(stack: Project, sender: Account, recipient: str, content: bytes) -> str:
    """Submit a message; returns its id from the reply."""
    with stack.submission(*sender) as client:
        client.mail(sender.address)
        assert client.rcpt(recipient)[0] == 250
        code, text = client.data(content)
    assert code == 250
    return accepted_id(text.decode())


def accepted_id(reply: str) -> str:
    """The id of the message in our reply to it; empty if the reply is another one."""
    return reply.partition(ACCEPTED)[2]


def delivery(jaeger: Jaeger, message_id: str) -> Trace:
    """The transaction that brought the message with this id. Its root ends last."""
    found = eventually(
        lambda: [
            trace
            for trace in jaeger.traces("relate-smtp", "mailstore.deliver", {"mailstore.message_id": message_id})
            if trace.named("smtp.transaction")
        ]
    )
    (trace,) = found
    return trace


def attempts(jaeger: Jaeger, transaction: Span) -> list[Trace]:
    """The attempts to send the message of a transaction that have ended, at least one."""
    return eventually(
        lambda: [
            trace
            for trace in jaeger.traces("relate-relay", "relay.attempt")
            if any(transaction.id in span.links for span in trace.named("relay.attempt"))
        ]
    )
