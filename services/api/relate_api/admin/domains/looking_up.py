"""Asks the DNS for the records of a domain, as `relate doctor` does, and remembers what was lacking.

Each look-up has a resolver of its own, without answers in its cache, because an operator repeats it after a repair.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import NamedTuple

from relate_api.admin.domains.describing import Described
from relate_outbound.dns.ports import RecordDns
from relate_outbound.dns.resolver import parse_resolver
from relate_service.config import RelaySettings
from relate_service.dns_checks.asking import open_resolver
from relate_service.dns_checks.domain import Sending
from relate_service.dns_checks.records import Expected, LookedUp, look_up
from relate_service.dns_checks.server import Names, Sources, find_sources, global_sources, own_names
from relate_service.dns_records import parse_line
from relate_service.findings import Finding

LOOK_UP_SECONDS = 5.0
"""The time for all records of a domain."""
QUESTION_SECONDS = 4.0
TRY_SECONDS = 1.5
MAX_REMEMBERED_DOMAINS = 1_000

OpenDns = Callable[[], AbstractAsyncContextManager[RecordDns | None]]
"""Opens a resolver; None if this machine has no name server."""


class LookUp(NamedTuple):
    """What the DNS said of a domain, and when, in seconds since the epoch. `problem` is why nothing was asked."""

    time: float
    records: Sequence[LookedUp] = ()
    problem: str = ""

    @property
    def lacking(self) -> int:
        """The number of records that an operator has to publish or correct."""
        return sum(each.is_lacking for each in self.records)


class RecordLookUps:
    """The newest look-up of each domain by this process. `server_name` is the name that MX records have."""

    def __init__(self, server_name: str, relay: RelaySettings, open_dns: OpenDns) -> None:
        self._names = own_names(server_name, relay.helo_name)
        self._relay = relay
        self._open_dns = open_dns
        self._newest: OrderedDict[str, LookUp] = OrderedDict()

    def newest(self, domain: str) -> LookUp | None:
        """What was found last; None if nothing was asked since the start."""
        return self._newest.get(domain)

    async def run(self, described: Described, seconds: float = LOOK_UP_SECONDS) -> LookUp:
        """Look all records of a domain up, within `seconds`."""
        deadline = asyncio.get_running_loop().time() + seconds
        async with self._open_dns() as dns:
            if dns is None:
                return LookUp(time.time(), problem="There is no name server: set Relay__Resolver to its address.")
            domain, keys, lines = described
            names = None if isinstance(self._names, Finding) else self._names
            sending = None if names is None else await self._sending(dns, names, deadline)
            expected = Expected(domain.name, [parse_line(line) for line in lines], keys, names, sending)
            found = LookUp(time.time(), await look_up(dns, expected, deadline))
        self._newest[domain.name] = found
        self._newest.move_to_end(domain.name)
        if len(self._newest) > MAX_REMEMBERED_DOMAINS:
            self._newest.popitem(last=False)
        return found

    async def _sending(self, dns: RecordDns, names: Names, deadline: float) -> Sending | None:
        if not self._relay.enabled:
            return None
        try:
            async with asyncio.timeout_at(deadline):
                sources = await find_sources(dns, names, global_sources())
        except TimeoutError:
            sources = Sources(())
        return Sending(sources, self._relay.smarthost.rpartition(":")[0])


def open_dns_of(relay: RelaySettings) -> OpenDns:
    """Resolvers by the settings of the relay; none if `Relay__Resolver` is not valid, with which no relay starts."""
    try:
        parse_resolver(relay.resolver)
    except ValueError:
        return no_dns
    return lambda: open_resolver(relay.resolver, QUESTION_SECONDS, TRY_SECONDS)


def no_dns() -> AbstractAsyncContextManager[RecordDns | None]:
    """No name server."""
    return nullcontext()
