"""Forms of administration: what they refuse is a sentence beside the typed values, and the status that the API has."""

from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import NamedTuple

from fastapi import HTTPException, Request, Response
from pydantic import ValidationError

from relate_accounts.errors import AddressNotFound, InvalidAddress, UserExists, UserNotFound
from relate_api.page.rendering import render
from relate_api.page.visitors import Visitor

REFUSED = (ValidationError, HTTPException, AddressNotFound, InvalidAddress, UserExists, UserNotFound)
"""What a form may be refused for."""
MEGABYTE_OCTETS = 1_000_000
MAX_DIGITS = 18
"""Of a number of octets, before it is converted: one such as 1e999999 would take minutes."""
_OTHERWISE = "A value is not valid."
_ADDRESS = "An address has the form name@example.org."
_SENTENCES: Mapping[str, str] = {
    **dict.fromkeys(("address", "sender", "recipient"), _ADDRESS),
    "displayName": "A name has at most 200 characters, and no line breaks.",
    "quota": "A quota is a number of MB; nothing means no limit.",
    "name": "A name has 1 to 100 characters, and no line breaks.",
    "scopes": "Choose what the key may do.",
    "expires": "A key is valid for 1 to 3650 days; nothing means without end.",
    "reason": "A reason has at most 512 characters, and no line breaks.",
    "domain": "A domain has the form example.org.",
    "messageId": "The id of a message has 32 hexadecimal digits.",
    "since": "A time has the form 2026-11-30T14:00.",
    "cursor": "The address of this page is not valid: begin at the first one.",
    "olderThanHours": "The age is a number of hours.",
}


class Refusal(NamedTuple):
    """Why a form is refused; without a sentence it is not."""

    sentence: str = ""
    status: HTTPStatus = HTTPStatus.OK


NOTHING_REFUSED = Refusal()


def refusal_of(error: Exception) -> Refusal:
    """The refusal of one of REFUSED. Its sentence has nothing that was typed."""
    match error:
        case HTTPException():
            return Refusal(_as_sentence(error.detail), HTTPStatus(error.status_code))
        case ValidationError():
            first = error.errors(include_input=False)[0]
            return Refusal(_SENTENCES.get(str(next(iter(first["loc"]), "")), _OTHERWISE), _INVALID)
        case UserExists():
            return Refusal(_as_sentence(str(error)), HTTPStatus.CONFLICT)
        case UserNotFound():
            return Refusal("There is no user with this address.", _INVALID)
    return Refusal(_as_sentence(str(error)) or _ADDRESS, _INVALID)


def show(request: Request, template: str, visitor: Visitor, refusal: Refusal, **values: object) -> Response:
    """A page of administration, with the sentence of a refused form and its status."""
    response = render(request, f"admin/{template}", visitor, error=refusal.sentence, **values)
    response.status_code = refusal.status
    return response


def quota_octets(megabytes: str) -> object:
    """A typed number of MB in octets; None for nothing, and the text itself if it is no number, for the schema."""
    if not megabytes.strip():
        return None
    try:
        octets = Decimal(megabytes.strip().replace(",", ".")) * MEGABYTE_OCTETS
    except ArithmeticError:  # of decimal: no number, or a too large one
        return megabytes
    is_exact = octets.is_finite() and octets.adjusted() < MAX_DIGITS and octets == int(octets)
    return int(octets) if is_exact else megabytes


def quota_megabytes(octets: int | None) -> str:
    """A quota in MB, exact to the octet; empty for none."""
    return "" if octets is None else f"{Decimal(octets) / MEGABYTE_OCTETS:f}"


_INVALID = HTTPStatus.UNPROCESSABLE_ENTITY


def _as_sentence(text: str) -> str:
    return text and f"{text[0].upper()}{text[1:].rstrip('.')}."
