"""What a form has done, told by the page that it leads to: `?done=moved`. No sentence is the visitor's."""

from enum import Enum
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse

PARAMETER = "done"


class Done(Enum):
    """What was done, and its sentence. The name in small letters is the value of the parameter."""

    MOVED = "The messages were moved."
    DELETED = "The messages were deleted."
    FILTER_SAVED = "The filter was saved."
    FILTER_REMOVED = "The filter was deleted."
    LABEL_SAVED = "The label was saved."
    LABEL_REMOVED = "The label was deleted."
    KEY_REVOKED = "The key was revoked."


def lead_to(path: str, done: Done) -> RedirectResponse:
    """Lead to a page that tells what was done."""
    parameter = urlencode({PARAMETER: done.name.lower()})
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{parameter}", HTTPStatus.SEE_OTHER)


def told(request: Request) -> str:
    """The sentence that a page shows; empty if nothing was done."""
    done = Done.__members__.get(request.query_params.get(PARAMETER, "").upper())
    return "" if done is None else done.value
