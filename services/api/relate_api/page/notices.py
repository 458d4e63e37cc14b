"""What a form has done, told by the page that it leads to: `?done=moved`. No sentence is the visitor's."""

import re
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from fastapi.responses import RedirectResponse

PARAMETER, MESSAGE = "done", "message"
CHANGED, MARKED = "changed", "marked"


class Done(Enum):
    """What was done, and its sentence. The name in small letters is the value of the parameter."""

    UNMARKED = "Nothing was changed: no message was marked."
    MOVED = "The messages were moved."
    TRASHED = "Moved to the trash."
    IN_TRASH = "The messages are in the trash already. Delete them there to delete them permanently."
    DELETED = "Deleted permanently."
    SENT = "The message was sent."
    HELD = "The message waits for an administrator, because you have sent to many recipients."
    SAVED = "The draft was saved."
    DISCARDED = "The draft was moved to the trash."
    FILTER_SAVED = "The filter was saved."
    FILTER_REMOVED = "The filter was deleted."
    LABEL_SAVED = "The label was saved."
    LABEL_REMOVED = "The label was deleted."
    MAILBOX_SAVED = "The mailbox was saved."
    MAILBOX_EMPTIED = "The messages were deleted permanently."
    MAILBOX_REMOVED = "The mailbox was deleted."
    USER_ADDED = "The user was added. Create a key, with which the user signs in."
    USER_SAVED = "The name and the quota were saved."
    USER_DISABLED = "The user was disabled: all sessions end within 30 seconds."
    USER_ENABLED = "The user was enabled."
    USER_REMOVED = "The user was removed, with all keys and all mail."
    ADDRESS_ADDED = "The address was added."
    ADDRESS_REMOVED = "The address was removed."
    KEY_REVOKED = "The key was revoked: its sessions end within 30 seconds."
    DOMAIN_ADDED = "The domain was added. Publish these records at its DNS provider."
    QUEUE_RETRIED = "{} attempted now."
    QUEUE_HELD = "{} held until released."
    QUEUE_RELEASED = "{} released, and attempted now."
    QUEUE_DROPPED = "{} dropped; the senders are not told."
    SUPPRESSED = "The address was added: nothing is sent to it."
    UNSUPPRESSED = "The address was removed from the list."


# Of each sentence with a place for a number of recipients: what could not be done to the others.
_COUNTED: Mapping[Done, str] = {
    Done.QUEUE_RETRIED: "retried",
    Done.QUEUE_HELD: "held",
    Done.QUEUE_RELEASED: "released",
    Done.QUEUE_DROPPED: "dropped",
}
_COUNT = re.compile(r"[0-9]{1,4}")


class Counts(NamedTuple):
    """How many recipients a form marked, and how many of them it changed."""

    changed: int
    marked: int


def lead_to(path: str, done: Done, email_id: UUID | None = None, counts: Counts | None = None) -> RedirectResponse:
    """Lead to a page that tells what was done, and to which message, or to how many recipients."""
    parameters = {PARAMETER: done.name.lower()} | ({} if email_id is None else {MESSAGE: str(email_id)})
    if counts is not None:
        parameters |= {CHANGED: str(counts.changed), MARKED: str(counts.marked)}
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{urlencode(parameters)}", HTTPStatus.SEE_OTHER)


def told(request: Request) -> str:
    """The sentence that a page shows; empty if nothing was done."""
    done = Done.__members__.get(request.query_params.get(PARAMETER, "").upper())
    if done is None:
        return ""
    return _told_counts(done, _counts(request)) if done in _COUNTED else done.value


def told_of(request: Request) -> UUID | None:
    """The message that the sentence is about."""
    try:
        return UUID(request.query_params.get(MESSAGE, ""))
    except ValueError:
        return None


def _counts(request: Request) -> Counts:
    typed = [request.query_params.get(name, "") for name in (CHANGED, MARKED)]
    return Counts(*(int(each) if _COUNT.fullmatch(each) else 0 for each in typed))


def _told_counts(done: Done, counts: Counts) -> str:
    if not counts.marked:
        return "Nothing was changed: no recipient was marked."
    possible = _COUNTED[done]
    if not counts.changed:
        return f"Nothing was changed: none of the marked recipients is in a state that can be {possible}."
    recipients = f"{counts.marked} marked recipient{'s' if counts.marked != 1 else ''}"
    if counts.changed == counts.marked:
        return done.value.format(f"{recipients} {'are' if counts.marked != 1 else 'is'}")
    some = done.value.format(f"{counts.changed} of {recipients} {'are' if counts.changed != 1 else 'is'}")
    return f"{some} The rest is in a state that cannot be {possible}."
