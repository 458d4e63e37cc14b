"""Users of the demo's domain, who send mail to other servers."""

import smtplib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import structlog

from relate.admin import add_domain, change_queue
from relate.demo.clients import RESPONSE_TIMEOUT_SECONDS, DemoUser, unverified_tls
from relate.demo.traffic import DOMAIN, users_with_keys
from relate.settings import Settings, load_command_settings
from relate_mailstore.queue_types import QueueFilter

log = structlog.get_logger(__name__)


@asynccontextmanager
async def sender(name: str) -> AsyncIterator[tuple[DemoUser, tuple[str, int]]]:
    """A user whose domain has DKIM keys, and the submission port. At the end the user's queue is emptied."""
    settings = load_command_settings()
    await add_domain(settings, DOMAIN, None)
    async with users_with_keys(settings, [name]) as (user,):
        yield user, ("smtp", settings.smtp.port)
    await _empty_queue(settings, user)


async def _empty_queue(settings: Settings, user: DemoUser) -> None:
    dropped = await change_queue(settings, lambda queue, query: queue.drop(query), QueueFilter(), user.address)
    log.info("removed from the queue", recipients=dropped)


def submit(user: DemoUser, server: tuple[str, int], recipients: Sequence[str]) -> None:
    """Submit a message. Raises OSError."""
    with smtplib.SMTP(*server, timeout=RESPONSE_TIMEOUT_SECONDS) as client:
        client.starttls(context=unverified_tls())
        client.login(user.address, user.key)
        client.sendmail(user.address, recipients, _message(user.address, recipients))
    log.info("submitted", recipients=recipients)


def _message(author: str, recipients: Sequence[str]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = author, ", ".join(recipients)
    message["Subject"], message["Date"] = "Minutes of the meeting", formatdate()
    message["Message-ID"] = make_msgid(domain=DOMAIN)
    message.set_content("They are attached to the next one.")
    return message.as_bytes().replace(b"\n", b"\r\n")
