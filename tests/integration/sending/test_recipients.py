"""Each recipient has a result of its own; recipients of a message and destination share transactions."""

import pytest

from tests.integration.sending.conftest import Home
from tests.support.relay.internet import Internet
from tests.support.relay.sink import Answer, reply
from tests.support.relay.system import NEVER_AGAIN, report_fields

TRANSACTION_RECIPIENTS = 100  # RFC 5321 §4.5.3.1.8

REPLIES = {
    "bob": reply("250 2.1.5 ok"),
    "carl": reply("450 4.2.1 busy"),
    "dora": reply("550 5.1.1 unknown"),
    "emil": reply("451 4.3.0 later"),
}


def by_local_part(arguments: str) -> Answer:
    return REPLIES[arguments.partition("<")[2].partition("@")[0]]


async def test_one_is_delivered_two_wait_and_the_report_names_the_refused_one(home: Home, internet: Internet) -> None:
    sink = await internet.domain("there.test", {"RCPT": by_local_part})
    async with home.system(internet, schedule=NEVER_AGAIN).running() as system:
        await system.submit(*(f"{name}@there.test" for name in REPLIES))
        await system.until(system.is_attempted)
        assert await system.states() == {
            "bob@there.test": "delivered",
            "carl@there.test": "queued",
            "dora@there.test": "failed",
            "emil@there.test": "queued",
        }
        (report,) = await system.reports()
    (sent,) = sink.messages
    assert [to.address for to in sent.recipients] == ["bob@there.test"]
    assert sink.commands.count("MAIL") == 1
    _, *recipients = report_fields(report)
    assert [group["Final-Recipient"] for group in recipients] == ["rfc822; dora@there.test"]
    assert recipients[0]["Diagnostic-Code"] == "smtp; 550 5.1.1 unknown"


@pytest.mark.parametrize("recipients", [250, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_a_destination_with_many_recipients_is_sent_to_in_bounded_transactions(
    home: Home, internet: Internet, recipients: int
) -> None:
    addresses = [f"user{number}@there.test" for number in range(recipients)]
    sink = await internet.domain("there.test")
    async with home.system(internet).running() as system:
        await system.submit(*addresses)
        await system.until(system.is_empty)
    counts = [len(each.recipients) for each in sink.messages]
    assert sorted(to.address for each in sink.messages for to in each.recipients) == sorted(addresses)
    assert max(counts) == TRANSACTION_RECIPIENTS
    assert len(counts) <= recipients / TRANSACTION_RECIPIENTS + 5  # the last of each round may be smaller
