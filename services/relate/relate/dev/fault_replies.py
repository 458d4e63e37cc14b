"""What a command is answered in place of its execution, in the form of its protocol. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from relate_api.developers.fault_rules import FaultService
from relate_imap.replies import TaggedResponse
from relate_imap.session import COMMANDS as IMAP_COMMANDS
from relate_pop3.session import COMMANDS as POP3_COMMANDS
from relate_smtp.session import COMMANDS as SMTP_COMMANDS
from relate_wire.reply import NextStep, Outcome, Reply

TEXT = "Fault injected"
_CLOSING = "421"  # RFC 5321 §3.8: the connection ends with it


class Form(NamedTuple):
    """The form of a protocol's replies: the commands, the codes, an example of these, and how a reply is made."""

    commands: frozenset[str]
    codes: re.Pattern[str]
    example: str
    make: Callable[[str, Any], Reply]


def make_reply(service: FaultService, code: str, command: Any) -> Reply:
    """The reply to a parsed command of the service. It does not count as a mistake of the client."""
    return FORMS[service].make(code, command)


def _smtp(code: str, _: Any) -> Reply:
    then = NextStep.CLOSE if code == _CLOSING else NextStep.CONTINUE
    line = f"{code} {code[0]}.3.0 {TEXT}\r\n"  # RFC 3463 §3.4: other or undefined mail system status
    return Reply(line.encode(), Outcome.REFUSED, code, then, uncounted=True)


def _pop3(code: str, _: Any) -> Reply:
    return Reply(f"{code} [SYS/TEMP] {TEXT}\r\n".encode(), Outcome.REFUSED, code, uncounted=True)


def _imap(code: str, command: Any) -> Reply:
    return TaggedResponse(code, TEXT, "UNAVAILABLE" if code == "NO" else "", uncounted=True).reply(command.tag)


FORMS: Mapping[FaultService, Form] = {
    "smtp": Form(frozenset(SMTP_COMMANDS), re.compile("[45][0-9]{2}"), "451", _smtp),
    "pop3": Form(frozenset(POP3_COMMANDS), re.compile("-ERR"), "-ERR", _pop3),
    "imap": Form(frozenset(IMAP_COMMANDS), re.compile("NO|BAD"), "NO", _imap),
}
