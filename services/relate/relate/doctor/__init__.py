"""Checks of an installation; each finding names its remedy. Those of the DNS are in `relate_service.dns_checks`.

host        this machine: files, database, disk, ports, certificates, collector
mail        mail between this server and others; `stored` reads the domains and the queue
runners     whether a relay runs; `keys`: whether it can sign; `outwards`: whether it reaches other servers
"""

from collections.abc import Sequence

from relate.doctor.host import examine_host
from relate.doctor.mail import examine_mail
from relate.settings import Settings
from relate_service.findings import Finding

__all__ = ["Finding", "examine"]


async def examine(settings: Settings, *, ask_dns: bool | None = None, probes: Sequence[str] = ()) -> list[Finding]:
    """Run all checks; a failed check is a finding, not an exception.

    The DNS is asked, and other servers are connected to, with `ask_dns`, by default if mail leaves, and for `probes`:
    the domains whose servers are connected to.
    """
    host = await examine_host(settings)  # first, because others create files, whose modes it checks
    return host + await examine_mail(settings, ask_dns=True if probes else ask_dns, probes=probes)
