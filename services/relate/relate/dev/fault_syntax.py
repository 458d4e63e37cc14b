"""Rules on the command line: `smtp RCPT 30% reply 451`, `imap FETCH delay 2`, `smtp DATA 3 times disconnect after`."""

import re
from typing import cast

from relate.dev.faults import check_rule
from relate_api.developers.fault_rules import (
    MAX_DELAY_SECONDS,
    FaultRule,
    FaultService,
    InvalidRule,
)
from relate_config import ConfigurationError
from relate_wire.faults import Disconnect

_RULE = re.compile(
    r"(?P<service>smtp|pop3|imap) (?P<command>[A-Z]+(?: [A-Z]+)?)"
    r"(?: (?P<percent>[0-9]{1,3}(?:\.[0-9]{1,3})?)%)?(?: (?P<times>[0-9]{1,6}) times)?"
    r"(?: delay (?P<delay>[0-9]{1,2}(?:\.[0-9]{1,3})?))?"
    r"(?: reply (?P<reply>\S+)| disconnect (?P<disconnect>before|after))?"
)
USAGE = "SERVICE COMMAND [N%] [N times] [delay SECONDS] [reply CODE | disconnect before|after]"


def parse_rule(text: str) -> FaultRule:
    """The rule of a text. Raises ConfigurationError."""
    match = _RULE.fullmatch(" ".join(text.split()))
    if match is None:
        raise ConfigurationError(f"a fault is: {USAGE}")
    percent, delay = float(match["percent"] or 100), float(match["delay"] or 0)
    times = None if match["times"] is None else int(match["times"])
    if not 0 < percent <= 100 or times == 0 or delay > MAX_DELAY_SECONDS:
        raise ConfigurationError(
            f"a fault has more than 0 and up to 100 %, at least 1 times, and a delay of at most {MAX_DELAY_SECONDS:g} s"
        )
    rule = FaultRule(
        cast("FaultService", match["service"]),
        match["command"],
        percent / 100,
        times,
        delay,
        match["reply"] or "",
        None if match["disconnect"] is None else Disconnect(match["disconnect"]),
    )
    try:
        check_rule(rule)
    except InvalidRule as error:
        raise ConfigurationError(str(error)) from None
    return rule
