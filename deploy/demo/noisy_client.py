"""noisy-client: a mail program with an error repeats a refused IMAP command until the server ends the session."""

import structlog

from deploy.demo.imap_client import imap_client
from deploy.demo.stopping import block_stop_signals, repeat
from relate.settings import load_command_settings

PAUSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


def fetch_before_login(server: tuple[str, int]) -> None:
    """Send FETCH, which needs a login, until the server closes the connection. Raises OSError."""
    with imap_client(server) as client:
        refused = 0
        while True:
            client.send(b"A1 FETCH 1:* (FLAGS)\r\n")
            line = client.readline()
            if not line.startswith(b"A1 BAD"):
                log.info("disconnected", refused=refused, reply=line.decode("ascii", "replace").strip())
                return
            refused += 1


def main() -> None:
    """Repeat it until the container is stopped."""
    block_stop_signals()
    server = ("imap", load_command_settings().imap.secure_port)
    repeat(lambda: fetch_before_login(server), PAUSE_SECONDS)


if __name__ == "__main__":
    main()
