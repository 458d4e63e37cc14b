"""What a form has done, told by the page that it leads to: `?done=moved`. No sentence is the visitor's."""

from enum import Enum
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from fastapi.responses import RedirectResponse

PARAMETER, MESSAGE = "done", "message"


class Done(Enum):
    """What was done, and its sentence. The name in small letters is the value of the parameter."""

    MOVED = "The messages were moved."
    TRASHED = "Moved to the trash."
    DELETED = "Deleted for good."
    SENT = "The message was sent."
    HELD = "The message waits for an administrator, because you have sent to many recipients."
    SAVED = "The draft was saved."
    DISCARDED = "The draft was moved to the trash."
    FILTER_SAVED = "The filter was saved."
    FILTER_REMOVED = "The filter was deleted."
    LABEL_SAVED = "The label was saved."
    LABEL_REMOVED = "The label was deleted."
    USER_ADDED = "The user was added. Create a key, with which the user signs in."
    USER_SAVED = "The name and the quota were saved."
    USER_DISABLED = "The user was disabled: all sessions end within 30 seconds."
    USER_ENABLED = "The user was enabled."
    USER_REMOVED = "The user was removed, with all keys and all mail."
    ADDRESS_ADDED = "The address was added."
    ADDRESS_REMOVED = "The address was removed."
    KEY_REVOKED = "The key was revoked: its sessions end within 30 seconds."
    DOMAIN_ADDED = "The domain was added. Publish these records at its DNS provider."
    QUEUE_RETRIED = "The marked recipients are attempted now."
    QUEUE_HELD = "The marked recipients are held until they are released."
    QUEUE_RELEASED = "The marked recipients were released, and are attempted now."
    QUEUE_DROPPED = "The marked recipients were dropped; their senders are not told."
    QUEUE_UNCHANGED = "Nothing was changed: no recipient was marked, or none was in a state that this changes."
    SUPPRESSED = "The address was added: nothing is sent to it."
    UNSUPPRESSED = "The address was removed from the list."


def lead_to(path: str, done: Done, email_id: UUID | None = None) -> RedirectResponse:
    """Lead to a page that tells what was done, and to which message."""
    parameters = {PARAMETER: done.name.lower()} | ({} if email_id is None else {MESSAGE: str(email_id)})
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{urlencode(parameters)}", HTTPStatus.SEE_OTHER)


def told(request: Request) -> str:
    """The sentence that a page shows; empty if nothing was done."""
    done = Done.__members__.get(request.query_params.get(PARAMETER, "").upper())
    return "" if done is None else done.value


def told_of(request: Request) -> UUID | None:
    """The message that the sentence is about."""
    try:
        return UUID(request.query_params.get(MESSAGE, ""))
    except ValueError:
        return None
