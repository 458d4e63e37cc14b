"""`/api/preferences`: get and change. The server keeps them, so that all clients of a user behave alike."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException

from relate_accounts.types import UserId
from relate_api.access.dependencies import InjectedServices, Reader, Services, Writer
from relate_api.preferences.schemas import Preferences, PreferencesPatch

router = APIRouter(prefix="/api/preferences", tags=["preferences"])


@router.get("")
async def get_preferences(principal: Reader, services: InjectedServices) -> Preferences:
    """Get all preferences; those that the user has not chosen have their defaults."""
    return await _preferences(services, principal.user.id)


@router.put("")
async def change_preferences(patch: PreferencesPatch, principal: Writer, services: InjectedServices) -> Preferences:
    """Change some preferences. A digest by mail cannot be chosen (409), because this server sends none."""
    if patch.email_digest:
        raise HTTPException(HTTPStatus.CONFLICT, "this server sends no digests by mail: emailDigest stays false")
    chosen = patch.model_dump(by_alias=True, exclude_none=True)
    await services.accounts.profiles.set_preferences(principal.user.id, chosen)
    return await _preferences(services, principal.user.id)


async def _preferences(services: Services, user_id: UserId) -> Preferences:
    return Preferences.model_validate(await services.accounts.profiles.preferences(user_id))
