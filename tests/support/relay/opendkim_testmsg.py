"""Verifies signatures by opendkim-testmsg, which finds public keys in the DNS only, and asks that at port 53.

The program runs in a network and a mount namespace of its own, where port 53 of loopback is the scripted DNS. This
module is also the program that prepares the namespaces: `python -m tests.support.relay.opendkim_testmsg ZONE <message`.
"""

import fcntl
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.dns import HOST, dns_in_thread

PROGRAM = "opendkim-testmsg"
DNS_PORT = 53
TIMEOUT_SECONDS = 60.0
_NAMESPACES = ("unshare", "--net", "--mount")
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def why_not() -> str:
    """Why it cannot run here; empty if it can."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*_NAMESPACES, "true"], capture_output=True, check=False).returncode
    ):
        return "namespaces are not permitted"
    return ""


def verify(message: bytes, zone: str) -> str:
    """What the program says against the message; empty if its signatures verify. `zone` is that of `ScriptedDns`."""
    command = [*_NAMESPACES, sys.executable, "-m", __name__, zone]
    done = subprocess.run(command, input=message, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    said = (done.stdout + done.stderr).decode()
    return said or f"exit status {done.returncode}" * bool(done.returncode)


def _main(zone: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "resolv.conf"
        configuration.write_text(f"nameserver {HOST}\n")
        subprocess.run(["mount", "--bind", configuration, "/etc/resolv.conf"], check=True)
        with dns_in_thread(zone, port=DNS_PORT):
            return subprocess.run([PROGRAM], check=False).returncode


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
