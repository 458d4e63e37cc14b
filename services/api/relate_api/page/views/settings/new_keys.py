"""Creates keys by a form. The answer alone shows the secret, and is not stored."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta

from fastapi import HTTPException
from pydantic import ValidationError

from relate_accounts.types import NewKey
from relate_api.access.dependencies import Principal, Services
from relate_api.keys.granting import create_granted_key
from relate_api.keys.schemas import NewKeyRequest
from relate_api.page.views.settings.sections import Refused, as_sentence, first_field

_PROBLEMS: Mapping[str, str] = {
    "name": "A key needs a name of at most 100 characters.",
    "scopes": "Choose what the key allows.",
    "expires": "The day on which the key expires is in the past.",
}
_DATE_PROBLEM = "A day is written as 2027-01-31."


async def create_key(
    principal: Principal, services: Services, name: str, scopes: Collection[str], last_day: str = ""
) -> NewKey:
    """Create a key that is valid until a day ends (UTC), or as long as the session's key. Raises Refused."""
    values = {"name": name.strip(), "scopes": [*scopes], "expires": _end_of(last_day.strip())}
    try:
        request = NewKeyRequest.model_validate(values)
    except ValidationError as refused:
        raise Refused(_PROBLEMS[first_field(refused)]) from None
    try:
        return await create_granted_key(services, principal, request.name, request.scopes, request.expires)
    except HTTPException as error:
        raise Refused(as_sentence(error.detail)) from None


def _end_of(day: str) -> str | None:
    """The second after a day, as the API takes it. Raises Refused."""
    if not day:
        return None
    try:
        end = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        raise Refused(_DATE_PROBLEM) from None
    return end.isoformat()
