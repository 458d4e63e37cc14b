"""Errors of the mail store. Each protocol maps them to replies in one function.

`temporary` means that the same request may succeed later. The messages are for logs and hold neither mail nor secrets.
"""

__all__ = [
    "MailboxExists",
    "MailboxFull",
    "MailboxNotFound",
    "MaildropInUse",
    "MessageNotFound",
    "OverQuota",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TooManyKeywords",
    "TooManyMailboxes",
]


class StoreError(Exception):
    """Base of all errors that a store raises."""

    temporary = False


class StoreUnavailable(StoreError):
    """The database did not respond, is full, or failed: nothing was stored."""

    temporary = True


class StoreBusy(StoreUnavailable):
    """Waiting for a lock that another process holds timed out."""


class StoreFull(StoreUnavailable):
    """The database's disk has too little free space."""


class MailboxNotFound(StoreError):
    """The account has no mailbox with this name or id."""


class MailboxExists(StoreError):
    """The account has a mailbox with this name."""


class MessageNotFound(StoreError):
    """The account has no such message, or no longer."""


class OverQuota(StoreError):
    """The message does not fit into the quota; `temporary` is False if it alone exceeds the quota."""

    def __init__(self, message: str, *, temporary: bool = True) -> None:
        super().__init__(message)
        self.temporary = temporary


class MailboxFull(StoreError):
    """The mailbox has assigned its last UID (RFC 9051 §2.3.1.1)."""


class TooManyMailboxes(StoreError):
    """The account has reached the limit of mailboxes."""


class TooManyKeywords(StoreError):
    """A message or a mailbox would exceed its limit of keywords."""


class MaildropInUse(StoreError):
    """Another POP3 session holds the maildrop lock (RFC 1939 §4)."""

    temporary = True


class WebhookNotFound(StoreError):
    """The account has no such webhook, or the webhook no such delivery."""


class TooManyWebhooks(StoreError):
    """The account has reached the limit of webhooks."""
