"""Debian's Postfix as a relay, the peer of the queue: an instance of its own, with the defaults for concurrency.

Each destination is a next hop with a name of its own, because Postfix counts connections by next hop. The names are in
the hosts file of its chroot, as Debian runs `smtp`, so that neither a resolver nor a file of the machine is touched.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import free_ports, wait_for_port
from tests.bench.servers import Target

DAEMONS = Path("/usr/lib/postfix/sbin")

# Postfix's defaults but for the last four lines, which are in its favour: no delay where mail arrives faster than it
# leaves, no resolver, no limit on the connections of the generator.
_MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {directory}
maillog_file = {directory}/log/mail.log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
transport_maps = inline:{{ {transports} }}
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup     unix  n - n 60    1 pickup
cleanup    unix  n - n -     0 cleanup
qmgr       unix  n - n 300   1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n -     - trivial-rewrite
bounce     unix  - - n -     0 bounce
defer      unix  - - n -     0 bounce
trace      unix  - - n -     0 bounce
verify     unix  - - n -     1 verify
flush      unix  n - n 1000? 0 flush
proxymap   unix  - - n -     - proxymap
proxywrite unix  - - n -     1 proxymap
smtp       unix  - - y -     - smtp
relay      unix  - - y -     - smtp
showq      unix  n - n -     - showq
error      unix  - - n -     - error
retry      unix  - - n -     - error
discard    unix  - - n -     - discard
anvil      unix  - - n -     1 anvil
scache     unix  - - n -     1 scache
postlog    unix-dgram n - n - 1 postlogd
"""


def is_installed() -> bool:
    """Whether Debian's postfix is."""
    return (DAEMONS / "master").exists()


@contextmanager
def relay_only(name: str, domains: Sequence[str], sink_port: int, directory: Path) -> Iterator[Target]:
    """Run Postfix inside the block. It relays the mail of `domains` to a port of 127.0.0.1. Raises OSError."""
    (port,) = free_ports(1)
    home = directory / "postfix"
    _write(home, domains, port, sink_port)
    command = ["/usr/sbin/postfix", "-c", str(home / "etc")]
    subprocess.run([*command, "start"], check=True, capture_output=True)
    try:
        wait_for_port(port)
        master = int((home / "queue/pid/master.pid").read_text())
        yield Target(name, port, port, 0, 0, (master,))
    finally:
        subprocess.run([*command, "stop"], check=True, capture_output=True)


def _write(home: Path, domains: Sequence[str], port: int, sink_port: int) -> None:
    for folder in ("etc", "queue/etc", "data", "log"):
        (home / folder).mkdir(parents=True)
    shutil.chown(home / "data", "postfix")
    transports = ", ".join(f"{{ {domain} = smtp:[mx.{domain}]:{sink_port} }}" for domain in domains)
    main = _MAIN.format(directory=home, daemons=DAEMONS, transports=transports)
    (home / "etc/main.cf").write_text(main.lstrip())
    (home / "etc/master.cf").write_text(_MASTER.lstrip().format(port=port))
    hosts = "".join(f"127.0.0.1 mx.{domain}\n" for domain in domains)
    (home / "queue/etc/hosts").write_text(hosts)
