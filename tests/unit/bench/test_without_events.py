"""The server of the benchmark that stores no events."""

from dataclasses import replace
from pathlib import Path

import pytest

from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from tests.bench.without_events import store_no_events
from tests.support.factories import delivery


async def test_mail_is_delivered_and_no_event_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EventWriter, "add", EventWriter.add)  # restored after the test
    account = AccountId(1)
    delivered = replace(delivery(account), events=(Event(EventName.DELIVERED, account_id=account),))
    engine = open_engine(f"sqlite:///{tmp_path}/relate.db")
    await migrate(engine)
    async with open_store(engine) as store:
        await store.provision(account)
        await store.deliver(delivered)
        assert len(await store.events.find(EventQuery())) == 1
        store_no_events()
        await store.deliver(delivered)
        assert (await store.mailbox(account)).messages == 2
        assert len(await store.events.find(EventQuery())) == 1
    await engine.dispose()
