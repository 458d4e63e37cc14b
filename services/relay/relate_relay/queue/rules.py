"""What a runner follows: its name, its schedule, its clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from secrets import token_bytes

from relate_relay.queue.liveness import DEAD_SECONDS
from relate_relay.queue.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Rules:
    """What a runner follows. `name` is unique among runners, `server_name` is the name in reports.

    After `dead_seconds` without a beat the others take over what a runner was sending. `envelope_secret` signs the
    envelope identifiers by which reports of other servers are recognised.
    """

    name: str
    server_name: str
    schedule: Schedule = field(default_factory=Schedule)
    dead_seconds: float = DEAD_SECONDS
    now: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)
    envelope_secret: bytes = field(default_factory=token_bytes, repr=False)
