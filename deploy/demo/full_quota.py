"""full-quota: another server delivers to a user whose mailbox is full."""

import asyncio
import smtplib

from deploy.demo.stopping import block_stop_signals, repeat
from relate.admin import set_quota
from relate.demo.clients import EXTERNAL_SENDER, RESPONSE_TIMEOUT_SECONDS
from relate.demo.traffic import users_with_keys
from relate.settings import load_command_settings

QUOTA_OCTETS = 20_000
MESSAGE = f"From: {EXTERNAL_SENDER}\r\nSubject: Photos\r\n\r\n".encode() + b"photo " * 900 + b"\r\n"
PAUSE_SECONDS = 5.0


def deliver(server: tuple[str, int], recipient: str) -> None:
    """Deliver one message. Raises OSError, which has the refusal."""
    with smtplib.SMTP(*server, "mx.example.org", timeout=RESPONSE_TIMEOUT_SECONDS) as client:
        client.sendmail(EXTERNAL_SENDER, [recipient], MESSAGE)


async def main() -> None:
    """Deliver until the container is stopped."""
    block_stop_signals()
    settings = load_command_settings()
    async with users_with_keys(settings, ["quentin"]) as (user,):
        await set_quota(settings, user.address, QUOTA_OCTETS)
        await asyncio.to_thread(repeat, lambda: deliver(("smtp", settings.smtp.mx_port), user.address), PAUSE_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
