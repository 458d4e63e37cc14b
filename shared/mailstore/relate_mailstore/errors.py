"""Errors of the mail store. Each protocol maps them to replies in one function.

`temporary` means that the same request may succeed later. The messages are for logs and hold neither mail nor secrets.
"""

__all__ = [
    "FilterNotFound",
    "InvalidMailboxName",
    "LabelExists",
    "LabelNotFound",
    "MailboxExists",
    "MailboxFull",
    "MailboxNotFound",
    "MaildropInUse",
    "MessageChanged",
    "MessageNotFound",
    "OverQuota",
    "RequestRepeated",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TooManyFilters",
    "TooManyKeywords",
    "TooManyLabels",
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


class InvalidMailboxName(StoreError):
    """A mailbox cannot get this name; the message says why. `is_limit` means that the name is too long."""

    def __init__(self, message: str, *, is_limit: bool = False) -> None:
        super().__init__(message)
        self.is_limit = is_limit


class MailboxExists(StoreError):
    """The account has a mailbox with this name."""


class MessageNotFound(StoreError):
    """The account has no such message, or no longer."""


class MessageChanged(StoreError):
    """The message's flags, keywords or mailboxes are not those that the caller expects."""


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


class RequestRepeated(StoreError):
    """The message of a request with this Idempotency-Key was sent already."""


class LabelNotFound(StoreError):
    """The account has no label with this id."""


class LabelExists(StoreError):
    """The account has a label with this name."""


class TooManyLabels(StoreError):
    """The account has reached the limit of labels."""


class FilterNotFound(StoreError):
    """The account has no filter with this id."""


class TooManyFilters(StoreError):
    """The account has reached the limit of filters."""


class MaildropInUse(StoreError):
    """Another POP3 session holds the maildrop lock (RFC 1939 §4)."""

    temporary = True


class WebhookNotFound(StoreError):
    """The account has no such webhook, or the webhook no such delivery."""


class TooManyWebhooks(StoreError):
    """The account has reached the limit of webhooks."""
