"""Which reports a sender gets (RFC 3461, RFC 3464), by what was requested and by what became of the recipient."""

from email.message import Message

import pytest

from relate_relay.queue.schedule import Schedule
from tests.integration.sending.conftest import Home
from tests.support.relay.internet import Internet
from tests.support.relay.sink import CAPABILITIES, Answer, reply
from tests.support.relay.system import RAW, report_fields

WITHOUT_DSN = tuple(keyword for keyword in CAPABILITIES if keyword != "DSN")
NOTIFY = ("", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE,DELAY")
AT_ONCE = Schedule((3600.0,), notice_seconds=0.0)
ANSWERS = {"bob": None, "dora": reply("550 5.1.1 unknown"), "emil": reply("451 4.3.0 later")}

EXPECTED = {
    "": {"dora": "failed", "emil": "delayed"},  # RFC 3461 §4.1: the default is for the server to choose
    "NEVER": {},
    "SUCCESS": {"bob": "relayed"},
    "FAILURE": {"dora": "failed"},
    "DELAY": {"emil": "delayed"},
    "SUCCESS,FAILURE,DELAY": {"bob": "relayed", "dora": "failed", "emil": "delayed"},
}


def answer(arguments: str) -> Answer | None:
    return ANSWERS[arguments.partition("<")[2].partition(".")[0]]


@pytest.mark.parametrize("capabilities", [CAPABILITIES, WITHOUT_DSN], ids=["dsn", "no dsn"])
async def test_notify_decides_which_reports_are_made(
    home: Home, internet: Internet, capabilities: tuple[str, ...]
) -> None:
    sink = await internet.domain("there.test", {"RCPT": answer}, capabilities=capabilities)
    expected = {
        f"{name}.{number}@there.test": EXPECTED[notify][name]
        for number, notify in enumerate(NOTIFY)
        for name in EXPECTED[notify]
        if not (name == "bob" and capabilities is CAPABILITIES)  # the server with DSN reports that itself
    }
    async with home.system(internet, schedule=AT_ONCE).running() as system:
        for number, notify in enumerate(NOTIFY):
            for name in ANSWERS:
                await system.submit(f"{name}.{number}@there.test", notify=notify)

        async def is_attempted() -> bool:
            rows = await system.rows()
            return len(rows) == len(NOTIFY) and all(row.reply for row in rows.values())  # those that were deferred

        await system.until(is_attempted)
        reports = await system.reports()
    found = {}
    for report in reports:
        _, recipient = report_fields(report)
        found[recipient["Final-Recipient"].removeprefix("rfc822; ")] = recipient["Action"]
        check_thread(report)
    assert found == expected
    assert len(reports) == len(expected)
    asked = [to.parameters.get("NOTIFY", "") for each in sink.messages for to in each.recipients]
    assert sorted(asked) == (sorted(NOTIFY) if capabilities is CAPABILITIES else [""] * len(NOTIFY))


def check_thread(report: Message) -> None:
    assert (report["In-Reply-To"], report["References"]) == ("<1@example.test>", "<1@example.test>")
    assert report["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize(("ret", "returned"), [("HDRS", "text/rfc822-headers"), ("FULL", "message/rfc822")])
async def test_the_parameters_of_the_sender_are_in_the_report(
    any_home: Home, internet: Internet, ret: str, returned: str
) -> None:
    await internet.domain("there.test", {"RCPT": reply("550 5.1.1 unknown")})
    async with any_home.system(internet).running() as system:
        await system.submit("bob@there.test", orcpt="rfc822;robert+40old.test", ret=ret, envid="QQ+2B1")
        await system.until(system.is_empty)
        (report,) = await system.reports()
    message, recipient = report_fields(report)
    assert message["Original-Envelope-Id"] == "QQ+1"
    assert recipient["Original-Recipient"] == "rfc822; robert@old.test"
    assert [part.get_content_type() for part in report.walk()].count(returned) == 1
    assert (b"At noon?" in report.as_bytes()) == (ret == "FULL")


async def test_mail_without_a_sender_is_never_reported(any_home: Home, internet: Internet) -> None:
    await internet.domain("there.test", {"RCPT": answer})
    automatic = RAW.replace(b"Subject: ", b"Auto-Submitted: auto-replied\r\nSubject: ")
    async with any_home.system(internet, schedule=AT_ONCE).running() as system:
        await system.submit("dora.1@there.test", sender="")
        await system.submit("dora.2@there.test", raw=automatic)
        await system.until(system.is_empty)
        assert await system.reports() == []
