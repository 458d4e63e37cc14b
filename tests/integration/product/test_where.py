"""`relate where` tells what happened to a message, with links to the traces if Jaeger's address is known."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from relate_mailstore.event_rules import EventRules
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.product import ADDRESS, Product

JAEGER = "http://jaeger.example:16686"
SENDER = "ann@example.org"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
STEP_KEYS = {"event", "time", "service", "recipient", "reply", "traceId", "detail"}


async def deliver(product: Product, addresses: Literal["clear", "hash"] = "clear") -> None:
    """Store a message as the SMTP service does, with the events of its transaction."""
    account = AccountId(1)
    received = Event(EventName.RECEIVED, sender=SENDER, client="192.0.2.1", service="smtp")
    delivered = Event(EventName.DELIVERED, account_id=account, sender=SENDER, recipient=ADDRESS, service="smtp")
    origin = f"00-{TRACE_ID}-b7ad6b7169203331-01"
    engine = open_engine(product.environment["ConnectionStrings__DefaultConnection"])
    async with open_store(engine, event_rules=EventRules(addresses)) as store:
        await store.deliver(replace(delivery(account, origin=origin), events=(received, delivered)))
    await engine.dispose()


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with Product(tmp_path, Jaeger__Url=f"{JAEGER}/") as product:
        product.add_user()
        yield product


def test_a_delivered_message_is_found_by_all_that_names_it(product: Product) -> None:
    asyncio.run(deliver(product))
    steps = product.relate_json("where", "<simple@example.org>")
    assert [step["event"] for step in steps] == ["received", "delivered"]
    assert all(step.keys() == STEP_KEYS for step in steps)
    assert steps[0]["detail"]["client"] == "192.0.2.1"
    assert steps[1]["detail"]["endState"] == "delivered"
    assert (steps[1]["recipient"], steps[1]["detail"]["mailbox"]) == (ADDRESS, "INBOX")
    for question in ("simple@example.org", SENDER.upper(), ADDRESS, steps[0]["detail"]["id"]):
        assert product.relate_json("where", question) == steps
    shown = product.relate_in_process("where", ADDRESS).stdout
    assert f"{ADDRESS}: delivered since" in shown
    assert re.search(rf"\d\d:\d\d:\d\d\.\d\d\d +received .*{re.escape(SENDER)}", shown)
    assert f"received, delivered: {JAEGER}/trace/{TRACE_ID}\n" in shown


def test_without_jaeger_there_is_no_link(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.add_user()
        asyncio.run(deliver(product))
        assert "/trace/" not in product.relate_in_process("where", ADDRESS).stdout
        assert product.relate_json("where", ADDRESS)[0]["traceId"] == TRACE_ID


def test_what_is_unknown_names_how_long_events_are_stored(product: Product) -> None:
    done = product.relate("where", "nobody@example.org", Events__RetentionDays="7")
    assert (done.returncode, done.stdout) == (1, "")
    assert "last 7 days (Events__RetentionDays)" in done.stderr


def test_hashed_addresses_are_found_by_the_address(tmp_path: Path) -> None:
    with Product(tmp_path, Events__Addresses="hash") as product:
        product.add_user()
        asyncio.run(deliver(product, "hash"))
        (received, delivered) = product.relate_json("where", SENDER)
        assert re.fullmatch(r"[0-9a-f]{16}", delivered["recipient"])
        assert "ann@" not in json.dumps([received, delivered])
