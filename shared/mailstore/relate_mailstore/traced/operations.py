"""What traced stores need of telemetry, and what they have in common."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from relate_mailstore.errors import (
    InvalidMailboxName,
    MailboxExists,
    MailboxNotFound,
    MaildropInUse,
    MessageChanged,
    MessageNotFound,
    OverQuota,
    RequestRepeated,
)
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId

# Errors that are the caller's, so that the span's status is not Error.
EXPECTED_ERRORS = (
    InvalidMailboxName,
    MailboxExists,
    MailboxNotFound,
    MaildropInUse,
    MessageChanged,
    MessageNotFound,
    OverQuota,
    RequestRepeated,
    ValueError,
)


class Operation(Protocol):
    """A span that has not ended."""

    def set(self, key: str, value: int | str) -> None:
        """Set an attribute."""


class Operations(Protocol):
    """What the decorator needs of telemetry."""

    def operation(
        self, name: str, attributes: Mapping[str, int], answers: tuple[type[Exception], ...]
    ) -> AbstractContextManager[Operation]:
        """A span around a `with` block. It records and re-raises exceptions; `answers` do not set the status Error."""

    def origin(self) -> str | None:
        """The traceparent of the current span, to save with a new message."""

    def link_reader(self, traceparent: str | None) -> None:
        """Link the current command's span to the delivery of a message that it reads, unless that is None."""


class TracedBase:
    """A traced store, or the methods of one port of it."""

    def __init__(self, store: MailStore, operations: Operations) -> None:
        self._store = store
        self._operations = operations

    def _span(self, method: str, account_id: AccountId, **numbers: int) -> AbstractContextManager[Operation]:
        attributes = {"mailstore.account": account_id} | {f"mailstore.{key}": number for key, number in numbers.items()}
        return self._operations.operation(f"mailstore.{method}", attributes, EXPECTED_ERRORS)
