"""The command `relate queue`: the mail that waits to be sent to other servers."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from relate.commands.accounts import Json
from relate.output import add_row, iso_time, local_minute, new_table, print_json, stdout

if TYPE_CHECKING:
    from relate.admin import QueueChange
    from relate_mailstore.queue_types import QueuedRecipient, QueueFilter

queue_app = typer.Typer(no_args_is_help=True, help="Show and change the mail that waits to be sent to other servers.")

HOUR_SECONDS = 3600.0

Id = Annotated[int | None, typer.Argument(help="The number of a recipient in the queue.")]
Domain = Annotated[str | None, typer.Option(help="Only recipients in this domain.")]
Account = Annotated[str | None, typer.Option(help="Only mail of this user, by an address.")]
OlderThan = Annotated[float | None, typer.Option(min=0, help="Only mail that is older than so many hours.")]


class Selection(NamedTuple):
    """The recipients that the options select."""

    query: "QueueFilter"
    account: str | None


@queue_app.command("list")
def list_queue(
    domain: Domain = None,
    account: Account = None,
    state: Annotated[str | None, typer.Option(help="Only recipients that are queued, leased, held, …")] = None,
    older_than: OlderThan = None,
    as_json: Json = False,
) -> None:
    """List recipients, the oldest first."""
    selected = _select(None, domain, account, older_than, state)
    rows = _find(selected)
    if as_json:
        print_json([_describe(row) for row in rows])
        return
    table = new_table("id", "recipient", "state", "attempts", "next attempt", "last reply")
    for row in rows:
        add_row(
            table,
            str(row.recipient_id),
            row.address,
            _state(row),
            str(row.attempts),
            "" if row.due is None else local_minute(row.due),
            row.reply,
        )
    stdout.print(table)


@queue_app.command("show")
def show_recipient(
    recipient_id: Annotated[int, typer.Argument(metavar="ID", help="The number of a recipient in the queue.")],
    as_json: Json = False,
) -> None:
    """Show one recipient: the message, the attempts, and the trace of the last one."""
    rows = _find(_select(recipient_id, None, None, None))
    if not rows:
        raise typer.BadParameter("no recipient in the queue has that number", param_hint="ID")
    described = _describe(rows[0])
    if as_json:
        print_json(described)
        return
    table = new_table("", "")
    for name, value in described.items():
        add_row(table, name, "" if value is None else str(value))
    stdout.print(table)


def _add_change(name: str, change: "QueueChange", done: str, help_text: str) -> None:
    """Add a command that changes the selected recipients."""

    @queue_app.command(name, help=help_text)
    def run(
        recipient_id: Id = None,
        domain: Domain = None,
        account: Account = None,
        older_than: OlderThan = None,
        as_json: Json = False,
    ) -> None:
        from relate import admin
        from relate.settings import load_command_settings
        from relate_mailstore.queue_types import QueueFilter

        selected = _select(recipient_id, domain, account, older_than)
        if selected == Selection(QueueFilter(), None):
            raise typer.BadParameter("give the number of a recipient, --domain, --account or --older-than")
        count = asyncio.run(admin.change_queue(load_command_settings(), change, *selected))
        if as_json:
            print_json({"changed": count})
        else:
            stdout.print(f"{count} {done}")


_add_change(
    "hold",
    lambda queue, query: queue.hold(query),
    "held",
    "Attempt nothing until `relate queue release`. A recipient that is being attempted is held after that.",
)
_add_change("release", lambda queue, query: queue.release(query), "released", "Attempt held recipients now.")
_add_change(
    "retry",
    lambda queue, query: queue.retry(query),
    "to be attempted now",
    "Attempt queued recipients now, without waiting for their next attempt.",
)
_add_change("drop", lambda queue, query: queue.drop(query), "dropped", "Cancel recipients; the sender is not told.")


def _select(
    recipient_id: int | None, domain: str | None, account: str | None, hours: float | None, state: str | None = None
) -> Selection:
    from relate_accounts.addresses import canonical_domain
    from relate_mailstore.queue_types import QueueFilter, QueueState, RecipientId

    if state is not None and state not in list(QueueState):
        raise typer.BadParameter(f"one of {', '.join(QueueState)}", param_hint="--state")
    query = QueueFilter(
        recipient_id=None if recipient_id is None else RecipientId(recipient_id),
        domain=None if domain is None else canonical_domain(domain),
        state=None if state is None else QueueState(state),
        older_than=None if hours is None else time.time() - hours * HOUR_SECONDS,
    )
    return Selection(query, account)


def _find(selected: Selection) -> "list[QueuedRecipient]":
    from relate import admin
    from relate.settings import load_command_settings

    return asyncio.run(admin.list_queue(load_command_settings(), *selected))


def _describe(row: "QueuedRecipient") -> dict[str, object]:
    return {
        "id": row.recipient_id,
        "messageId": str(row.message_id),
        "headerMessageId": row.header_message_id,
        "sender": row.sender,
        "recipient": row.address,
        "domain": row.domain,
        "state": row.state.value,
        "requested": row.requested and row.requested.value,
        "octets": row.size,
        "arrived": iso_time(row.arrived),
        "attempts": row.attempts,
        "nextAttempt": None if row.due is None else iso_time(row.due),
        "lastReply": row.reply,
        "status": row.status,
        "traceId": row.trace,
    }


def _state(row: "QueuedRecipient") -> str:
    return row.state.value if row.requested is None else f"{row.state.value}, then {row.requested.value}"
