"""What can go wrong with the store, in the domain's words. Each protocol maps these to its replies in one table.

`temporary` says whether the same request may succeed later. Messages are for logs: they hold no mail and no secrets.
"""


class StoreError(Exception):
    """Base of all errors that a store raises."""

    temporary = False


class StoreUnavailable(StoreError):
    """The database did not answer, is full, or refused for a reason of its own: nothing was stored."""

    temporary = True


class StoreBusy(StoreUnavailable):
    """Another process held a lock for longer than this one waits."""


class StoreFull(StoreUnavailable):
    """The database's disk has no room for this."""


class MailboxNotFound(StoreError):
    """No mailbox of that name or id in this account."""


class MailboxExists(StoreError):
    """A mailbox of that name is there already."""


class MessageNotFound(StoreError):
    """No such message in this account, or not any more."""


class OverQuota(StoreError):
    """The account has no room now; `temporary` is False where the message alone exceeds the quota."""

    def __init__(self, message: str, *, temporary: bool = True) -> None:
        super().__init__(message)
        self.temporary = temporary


class MailboxFull(StoreError):
    """The mailbox has given out every UID that there is (RFC 9051 §2.3.1.1)."""


class TooManyMailboxes(StoreError):
    """The account has as many mailboxes as an account may have."""


class TooManyKeywords(StoreError):
    """A message, or a mailbox, would have more keywords than it may have."""


class MaildropInUse(StoreError):
    """Another POP3 session holds the maildrop (RFC 1939 §4)."""

    temporary = True
