"""The sections of the settings, and how one of them is shown."""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import Request, Response
from pydantic import ValidationError

from relate_api.page.rendering import render
from relate_api.page.visitors import Visitor

FILTERS, LABELS, MAILBOXES = "/settings/filters", "/settings/labels", "/settings/mailboxes"
DEVICES, KEYS = "/settings/devices", "/settings/keys"

_OF_READERS = ((FILTERS, "Filters"), (LABELS, "Labels"), (MAILBOXES, "Mailboxes"))
_OF_KEY_OWNERS = ((DEVICES, "Mail programs"), (KEYS, "Keys"))


class Refused(Exception):
    """A form is not valid, or the session may not do what it asks; the text is a sentence."""


def sections_of(visitor: Visitor) -> Sequence[tuple[str, str]]:
    """The paths and names of the sections that a session may see."""
    return (*(_OF_READERS if visitor.may_read else ()), *(_OF_KEY_OWNERS if visitor.may_own_keys else ()))


def show_section(
    request: Request, visitor: Visitor, section: str, template: str, error: str = "", **values: object
) -> Response:
    """A page of a section. With an `error` its status is 422."""
    response = render(
        request,
        f"settings/{template}",
        visitor,
        sections=sections_of(visitor),
        section=section,
        error=error,
        **values,
    )
    if error:
        response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    return response


def first_field(refused: ValidationError) -> str:
    """The name of the first field that is not valid; empty if the error is of no field."""
    location = refused.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
    return str(location[0]) if location else ""


def as_sentence(detail: str) -> str:
    """A detail of the API's problems as a sentence."""
    return f"{detail[:1].upper()}{detail[1:]}."
