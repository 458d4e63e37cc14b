"""The command `relate where`: what happened to a message, and where it is for each recipient."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from relate.commands.accounts import Json
from relate.output import print_json, stdout

if TYPE_CHECKING:
    from relate_mailstore.journey_views import Names, Step
    from relate_mailstore.journeys import Journey

COLOURS = {
    "read": "green",
    "delivered": "green",
    "relayed": "green",
    "queued": "yellow",
    "held": "yellow",
    "deferred": "yellow",
    "refused": "red",
    "bounced": "red",
    "expired": "red",
}
SHOWN_ONCE = frozenset({"id", "messageId"})  # above the table
TIMES = frozenset({"next_attempt", "since"})  # in seconds since the epoch
TIME_COLUMNS = 23  # of `2026-07-14 09:30:00.123`


def show_journeys(
    question: Annotated[str, typer.Argument(metavar="MESSAGE", help="A Message-ID, an address, or a message's id.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Show at most so many messages of an address.")] = 5,
    as_json: Json = False,
) -> None:
    """Show what happened to a message, step by step, and where it is now. Reads the event log alone."""
    from relate import journeys
    from relate.settings import load_command_settings

    settings = load_command_settings()
    found = asyncio.run(journeys.find(settings, question, limit))
    oldest_first = found.journeys[::-1]
    if as_json:
        print_json([step for journey in oldest_first for step in _describe(journey, found.names)])
        return
    for journey in oldest_first:
        _print(journey, found.names, settings.jaeger.url.rstrip("/"))


def _describe(journey: "Journey", names: "Names") -> "Iterator[dict[str, object]]":
    """The steps of a journey. The detail of one that decided a recipient's end state has that as `endState`."""
    from relate_mailstore.journey_views import step_of

    states = {id(end.event): end.state.value for end in journey.ends}
    for event in journey.events:
        step = step_of(event, names)
        end = {"endState": states[id(event)]} if id(event) in states else {}
        yield {
            "event": step.event,
            "time": _iso_milliseconds(step.time),
            "service": step.service,
            "recipient": step.recipient,
            "reply": step.reply,
            "traceId": step.trace_id,
            "detail": {**step.detail, **end},
        }


def _print(journey: "Journey", names: "Names", jaeger_url: str) -> None:
    from relate_mailstore.journey_views import step_of
    from relate_service.console import visible

    title = f"<{journey.header_message_id}>" if journey.header_message_id else "a message that was refused"
    sender = f"from {journey.sender}" if journey.sender else "without a sender"
    stdout.print(Text(visible(f"{title} {sender}, id {journey.message_id or 'none'}"), style="bold"))
    table = Table(Column("time", width=TIME_COLUMNS), "event", "what", box=None)
    for event in journey.events:
        step = step_of(event, names)
        cell = Text(visible(_words(step)), overflow="fold")
        table.add_row(_local_milliseconds(step.time), Text(step.event, COLOURS.get(step.event, "")), cell)
    stdout.print(table)
    for end in journey.ends:
        state = Text(end.state.value, COLOURS.get(end.state.value, ""))
        recipient = visible(end.recipient or "the copy of its owner")
        stdout.print(Text(f"{recipient}: ").append(state), Text(f"since {_local_milliseconds(end.event.time)}"))
    for trace_id, events in _by_trace(journey).items() if jaeger_url else ():
        stdout.print(Text(f"{', '.join(events)}: {jaeger_url}/trace/{trace_id}"), soft_wrap=True)
    stdout.print()


def _by_trace(journey: "Journey") -> dict[str, list[str]]:
    """The names of the events of each trace."""
    by_trace: defaultdict[str, list[str]] = defaultdict(list)
    for event in journey.events:
        if event.trace_id and event.name.value not in by_trace[event.trace_id]:
            by_trace[event.trace_id].append(event.name.value)
    return dict(by_trace)


def _words(step: "Step") -> str:
    """A step in words: the service, the recipient, the reply, and what the detail has beside."""
    from relate_mailstore.journeys import COPY_EVENTS

    detail = (f"{name} {_value(name, value)}" for name, value in step.detail.items() if name not in SHOWN_ONCE)
    to = "for" if step.event in COPY_EVENTS else "to"
    recipient = f"{to} {step.recipient}" if step.recipient else ""
    return ", ".join(filter(None, (step.service and f"by {step.service}", recipient, step.reply, *detail)))


def _value(name: str, value: object) -> object:
    return _local_milliseconds(value) if name in TIMES and isinstance(value, float) else value


def _iso_milliseconds(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _local_milliseconds(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "milliseconds")[:TIME_COLUMNS]
