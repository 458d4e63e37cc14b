"""key-guessing: eight connections from one address guess the keys of a user over IMAP."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import structlog

from deploy.demo.imap_client import imap_client
from deploy.demo.stopping import block_stop_signals, repeat
from relate.demo.traffic import DOMAIN
from relate.settings import load_command_settings

USER = f"ann@{DOMAIN}"
CONNECTIONS = 8
PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


def guess(server: tuple[str, int]) -> None:
    """Guess until the server closes the connection. Raises OSError, IMAP4.error."""
    with imap_client(server) as client:
        while True:
            try:
                client.login(USER, f"rm_{secrets.token_urlsafe(32)}")
            except client.abort:
                return
            except client.error as error:
                log.info("refused", reply=str(error))


def main() -> None:
    """Guess until the container is stopped."""
    block_stop_signals()
    server = ("imap", load_command_settings().imap.secure_port)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        repeat(lambda: list(threads.map(guess, [server] * CONNECTIONS)), PAUSE_SECONDS)


if __name__ == "__main__":
    main()
