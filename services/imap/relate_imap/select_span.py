"""Traces the opening of a mailbox as a span `imap.mailbox.select`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from relate_imap.context import SelectSpan
from relate_mailstore.errors import MailboxNotFound
from relate_telemetry.operations import Operation, Operations


class TracedSelect:
    """See `context.SelectSpan`."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def set_message_count(self, messages: int) -> None:
        """Set `imap.mailbox.message_count`."""
        self._operation.set("imap.mailbox.message_count", messages)


def traced_selects(operations: Operations) -> Callable[[str, bool], AbstractContextManager[SelectSpan]]:
    """For `Context.select_span`. The mailbox's name is an attribute of the span, and never a metric label."""

    @contextmanager
    def select_span(mailbox: str, read_only: bool) -> Iterator[SelectSpan]:
        attributes: dict[str, str | bool] = {"imap.mailbox.name": mailbox, "imap.mailbox.read_only": read_only}
        with operations.operation("imap.mailbox.select", attributes, (MailboxNotFound,)) as operation:
            yield TracedSelect(operation)

    return select_span
