"""The demo account: created at the first start with `--demo`; its key is shown once."""

from datetime import UTC, datetime

from relate_accounts.errors import UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.types import Scope
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Delivery, Destination

ADDRESS = "demo@example.test"
POSTMASTER = "postmaster@localhost"  # of the default server name (RFC 5321 §4.5.1)
SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP, Scope.APP)

WELCOME = b"""\
From: Relate Mail <postmaster@example.test>
To: Demo <demo@example.test>
Subject: Welcome
Date: %s
Message-ID: <welcome@example.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

This message was waiting for you. Send another one, read both, and watch the spans.
"""


async def create_demo_account(accounts: AccountStore, mail: MailStore) -> str | None:
    """Create the demo account with a welcome message; return its key, or None if the account already has one.

    Raises UserExists when another user has one of its addresses, or when the account was removed.
    """
    try:
        user = await accounts.user_by_address(ADDRESS)
    except UserNotFound:
        user = await accounts.add_user(ADDRESS, "Demo", [POSTMASTER])
    if await accounts.keys(user.id):
        return None
    # The key is created last, so that the next start completes an interrupted one.
    date = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S +0000}".encode()
    raw = (WELCOME % date).replace(b"\n", b"\r\n")
    await mail.deliver(Delivery(raw, (Destination(AccountId(user.id)),)))
    return (await accounts.create_key(user.id, "demo", SCOPES)).secret
