"""Which commands get a fault by which rules, the replies in each protocol, and the syntax of the command line."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relate.dev.authenticator import OpenAuthenticator
from relate.dev.fault_syntax import parse_rule
from relate.dev.faults import Faults
from relate.dev.mailboxes import Mailboxes
from relate_accounts.types import Scope
from relate_api.developers.fault_rules import FaultRule, FaultService, InvalidRule
from relate_config import ConfigurationError
from relate_imap.framing import ImapFramer
from relate_imap.grammar import parse as parse_imap
from relate_pop3.commands import parse as parse_pop3
from relate_pop3.framing import pop3_framer
from relate_smtp.commands import parse as parse_smtp
from relate_smtp.framing import SmtpFramer
from relate_wire.content_budget import ContentBudget
from relate_wire.faults import Disconnect, Fault, SessionFaults
from relate_wire.ports import CommandLike
from relate_wire.reply import NextStep
from tests.support.memory_backend import MemoryBackend

REFUSE = FaultRule("smtp", "RCPT", reply="451")


def smtp_framer() -> SmtpFramer:
    return SmtpFramer(1_000, ContentBudget().hold(""))


PARSERS: dict[FaultService, tuple[Callable[[], Any], Callable[[Any], CommandLike]]] = {
    "smtp": (smtp_framer, parse_smtp),
    "pop3": (pop3_framer, parse_pop3),
    "imap": (ImapFramer, parse_imap),
}


def command(service: FaultService, line: str) -> CommandLike:
    make_framer, parse = PARSERS[service]
    framer = make_framer()
    framer.feed(f"{line}\r\n".encode())
    return parse(framer.next_frame())


def smtp(session: SessionFaults, *lines: str) -> list[bool]:
    """Whether each line gets a fault."""
    return [session.choose(command("smtp", line)) is not None for line in lines]


def chances(*values: float) -> Faults:
    numbers: Iterator[float] = iter(values)
    return Faults(lambda: next(numbers))


def test_a_share_of_the_commands_gets_a_fault() -> None:
    faults = chances(0.29, 0.3, 0.0, 0.99)
    faults.replace("", [FaultRule("smtp", "RCPT", probability=0.3, reply="451")])
    assert smtp(faults.service("smtp").session(), *["RCPT TO:<a@b.test>"] * 4) == [True, False, True, False]
    assert faults.of("")[0].injected == 2


def test_only_the_named_command_of_the_service_is_concerned() -> None:
    faults = Faults()
    faults.replace("", [REFUSE])
    assert smtp(faults.service("smtp").session(), "MAIL FROM:<a@b.test>", "RCPT TO:<a@b.test>", "DATA") == [
        False,
        True,
        False,
    ]
    assert faults.service("imap").session().choose(command("imap", "a NOOP")) is None


def test_a_rule_may_apply_a_number_of_times() -> None:
    faults = Faults()
    faults.replace("", [FaultRule("smtp", "RCPT", times=2, reply="451")])
    sessions = [faults.service("smtp").session() for _ in range(4)]
    assert [smtp(session, "RCPT TO:<a@b.test>") for session in sessions] == [[True], [True], [False], [False]]


def test_rules_of_a_namespace_apply_to_its_recipients_only() -> None:
    faults = Faults()
    faults.replace("one", [REFUSE, FaultRule("smtp", "DATA", reply="554")])
    session = faults.service("smtp").session()
    lines = ["MAIL FROM:<app@b.test>", "RCPT TO:<a+one@b.test>", "RCPT TO:<a+two@b.test>", "RCPT TO:<a@b.test>", "DATA"]
    assert smtp(session, *lines) == [False, True, False, False, True]
    assert smtp(session, "MAIL FROM:<app@b.test>", "RCPT TO:<a+two@b.test>", "DATA") == [False, False, False]


PLAIN = b64encode(b"\0a+one@b.test\0x").decode()


@pytest.mark.parametrize(
    ("service", "login", "then"),
    [
        ("imap", "a LOGIN a+one@b.test x", "b NOOP"),
        ("imap", f"a AUTHENTICATE PLAIN {PLAIN}", "b NOOP"),
        ("pop3", "USER a+one@b.test", "NOOP"),
        ("pop3", f"AUTH PLAIN {PLAIN}", "NOOP"),
        ("smtp", f"AUTH PLAIN {PLAIN}", "NOOP"),
    ],
)
def test_rules_of_a_namespace_apply_to_sessions_that_log_in_to_it(service: FaultService, login: str, then: str) -> None:
    faults = Faults()
    session, other = faults.service(service).session(), faults.service(service).session()
    assert session.choose(command(service, login)) is None
    assert other.choose(command(service, login.replace("one", "two").replace(PLAIN, "="))) is None
    faults.replace("one", [FaultRule(service, "NOOP", delay_seconds=1.0)])  # after the login
    assert session.choose(command(service, then)) == Fault(1.0)
    assert other.choose(command(service, then)) is None


@pytest.mark.parametrize(
    ("service", "login"),
    [
        ("imap", "a AUTHENTICATE PLAIN"),
        ("pop3", "AUTH PLAIN"),
        ("smtp", "AUTH PLAIN"),
        ("smtp", "AUTH LOGIN"),
    ],
)
async def test_rules_apply_to_a_session_whose_login_followed_a_challenge(service: FaultService, login: str) -> None:
    world = MemoryBackend()
    authenticator = OpenAuthenticator(world.authenticator, Mailboxes(world.accounts), "localhost")
    faults = Faults()
    faults.replace("one", [FaultRule(service, "NOOP", delay_seconds=1.0)])

    async def converse(address: str) -> bool:
        """Whether NOOP has a fault, in a session that has its own task, as in the driver."""
        session = faults.service(service).session()
        assert session.choose(command(service, login)) is None
        await authenticator.validate(address, "x", Scope.SMTP, "192.0.2.1")
        return session.choose(command(service, "b NOOP" if service == "imap" else "NOOP")) is not None

    async with asyncio.TaskGroup() as tasks:
        sessions = [tasks.create_task(converse(address)) for address in ("a+one@b.test", "a+two@b.test")]
    assert [each.result() for each in sessions] == [True, False]
    await authenticator.validate_key("a+one@b.test", "192.0.2.1")  # of a request: there is no session


@pytest.mark.parametrize("line", ["a FETCH 1 FLAGS", "a UID FETCH 1 FLAGS"])
def test_a_rule_of_fetch_includes_uid_fetch(line: str) -> None:
    faults = Faults()
    faults.replace("", [FaultRule("imap", "FETCH", reply="NO")])
    assert faults.service("imap").session().choose(command("imap", line)) is not None


def test_a_rule_of_uid_fetch_does_not_include_fetch() -> None:
    faults = Faults()
    faults.replace("", [FaultRule("imap", "UID FETCH", reply="NO")])
    session = faults.service("imap").session()
    assert session.choose(command("imap", "a FETCH 1 FLAGS")) is None
    assert session.choose(command("imap", "a UID FETCH 1 FLAGS")) is not None


@pytest.mark.parametrize(
    ("rule", "line", "octets", "then"),
    [
        (REFUSE, "RCPT TO:<a@b.test>", b"451 4.3.0 Fault injected\r\n", NextStep.CONTINUE),
        (FaultRule("smtp", "DATA", reply="554"), "DATA", b"554 5.3.0 Fault injected\r\n", NextStep.CONTINUE),
        (FaultRule("smtp", "NOOP", reply="421"), "NOOP", b"421 4.3.0 Fault injected\r\n", NextStep.CLOSE),
        (FaultRule("pop3", "NOOP", reply="-ERR"), "NOOP", b"-ERR [SYS/TEMP] Fault injected\r\n", NextStep.CONTINUE),
        (
            FaultRule("imap", "NOOP", reply="NO"),
            "x7 NOOP",
            b"x7 NO [UNAVAILABLE] Fault injected\r\n",
            NextStep.CONTINUE,
        ),
        (FaultRule("imap", "NOOP", reply="BAD"), "x7 NOOP", b"x7 BAD Fault injected\r\n", NextStep.CONTINUE),
    ],
)
def test_a_reply_has_the_form_of_its_protocol(rule: FaultRule, line: str, octets: bytes, then: NextStep) -> None:
    faults = Faults()
    faults.replace("", [rule])
    fault = faults.service(rule.service).session().choose(command(rule.service, line))
    assert fault is not None
    assert fault.reply is not None
    assert (fault.reply.head, fault.reply.then, fault.reply.uncounted) == (octets, then, True)


def test_a_disconnection_is_before_or_after_the_command() -> None:
    faults = Faults()
    for disconnect in Disconnect:
        faults.replace("", [FaultRule("smtp", "DATA", disconnect=disconnect)])
        fault = faults.service("smtp").session().choose(command("smtp", "DATA"))
        assert fault == Fault(disconnect=disconnect)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("smtp RCPT 30% reply 451", FaultRule("smtp", "RCPT", 0.3, reply="451")),
        ("imap  FETCH delay 1.5", FaultRule("imap", "FETCH", delay_seconds=1.5)),
        ("imap UID FETCH 0.5% reply NO", FaultRule("imap", "UID FETCH", 0.005, reply="NO")),
        (
            "smtp DATA 3 times delay 2 disconnect after",
            FaultRule("smtp", "DATA", times=3, delay_seconds=2.0, disconnect=Disconnect.AFTER),
        ),
    ],
)
def test_rules_of_the_command_line(text: str, rule: FaultRule) -> None:
    assert parse_rule(text) == rule
    Faults().replace("", [rule])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smtp",
        "http GET reply 451",
        "smtp rcpt reply 451",
        "smtp RCPT 0% reply 451",
        "smtp RCPT 101% delay 1",
        "smtp RCPT 0 times reply 451",
    ],
)
def test_a_malformed_rule_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="a fault "):
        parse_rule(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("smtp RCPT 30%", "a fault is a delay, a reply or"),
        ("smtp FETCH reply 451", "smtp has no such command"),
        ("imap FETCH reply 451", "imap has no such reply for a fault; an example is NO"),
        ("pop3 STAT reply NO", "pop3 has no such reply for a fault; an example is -ERR"),
        ("smtp RCPT reply 250", "smtp has no such reply for a fault; an example is 451"),
        ("smtp RCPT reply later", "smtp has no such reply for a fault; an example is 451"),
    ],
)
def test_a_rule_that_cannot_apply_is_an_error(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        parse_rule(text)


def test_a_fault_has_one_effect_on_the_connection() -> None:
    with pytest.raises(InvalidRule, match="not both"):
        Faults().replace("", [FaultRule("smtp", "RCPT", reply="451", disconnect=Disconnect.AFTER)])
