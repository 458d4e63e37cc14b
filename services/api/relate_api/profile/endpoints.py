"""`/api/profile`: the user's name; addresses of other domains, which the user proves and may then send from.

Addresses of local domains are given and taken by an administrator only: each routes mail, and may be the name of a
future user. A response never tells whether another user has, or claims, an address.
"""

import time
from http import HTTPStatus
from uuid import UUID, uuid4

from fastapi import APIRouter, HTTPException

from relate_accounts.addresses import canonical_address, domain_of, is_catch_all
from relate_accounts.claims import CODES_PER_PERIOD, MAX_CLAIMS, Claim, generate_code, hash_code
from relate_accounts.errors import AddressNotFound, InvalidAddress, TooManyClaims, TooManyCodes, WrongCode
from relate_accounts.types import UserId
from relate_api.access.dependencies import InjectedServices, KeyOwner, Reader, Services, Writer
from relate_api.profile.schemas import (
    NewAddressRequest,
    Profile,
    ProfileAddress,
    ProfilePatch,
    VerificationRequest,
    address_id,
)
from relate_api.profile.verification_mail import verification_delivery

router = APIRouter(prefix="/api/profile", tags=["profile"])


@router.get("")
async def get_profile(principal: Reader, services: InjectedServices) -> Profile:
    """Get the user's profile with all addresses: the primary one first, then given ones, then claimed ones."""
    user = await services.accounts.user(principal.user.id)
    return Profile(
        id=user.id,
        address=user.address,
        display_name=user.display_name,
        addresses=await _addresses(services, user.id),
        created=user.created,
        quota=user.quota,
        usage=await services.store.usage(principal.account_id),
    )


@router.put("")
async def change_profile(patch: ProfilePatch, principal: Writer, services: InjectedServices) -> Profile:
    """Change the user's display name."""
    await services.accounts.set_display_name(principal.user.id, patch.display_name.strip())
    return await get_profile(principal, services)


@router.post("/addresses", status_code=HTTPStatus.CREATED)
async def claim_address(request: NewAddressRequest, principal: KeyOwner, services: InjectedServices) -> ProfileAddress:
    """Claim an address of another domain, to send from it. A code is mailed to it, which proves the claim.

    Until then it is not verified. Repeated, another code is mailed, and the one before is no longer valid.
    """
    address = await _claimable(request.address, services)
    user, code = principal.user, generate_code()
    code_hash = hash_code(await services.accounts.hash_secret(), user.id, address, code)
    try:
        claim = await services.accounts.profiles.claim(user.id, address, code_hash)
    except TooManyClaims:
        raise HTTPException(HTTPStatus.CONFLICT, f"a user claims at most {MAX_CLAIMS} addresses") from None
    except TooManyCodes:
        detail = f"at most {CODES_PER_PERIOD} codes are mailed in an hour: try again later"
        raise HTTPException(HTTPStatus.CONFLICT, detail) from None
    if claim.verified is None:
        server_name = services.installation.smtp.server
        delivery = verification_delivery(
            user, address, code, server_name=server_name, identifier=uuid4().hex, now=time.time()
        )
        await services.store.deliver(delivery)
    return _claimed(user.id, claim)


@router.post("/addresses/{address_id}/verify")
async def verify_address(
    address_id: UUID, request: VerificationRequest, principal: KeyOwner, services: InjectedServices
) -> ProfileAddress:
    """Prove a claimed address with the code that was mailed to it: within 24 hours, and in five tries."""
    user_id = principal.user.id
    claim = await _find_claim(services, user_id, address_id)
    code_hash = hash_code(await services.accounts.hash_secret(), user_id, claim.address, request.code.strip())
    try:
        return _claimed(user_id, await services.accounts.profiles.prove(user_id, claim.address, code_hash))
    except WrongCode:
        detail = "the code is wrong, or no longer valid: claim the address again to get another one"
        raise HTTPException(HTTPStatus.CONFLICT, detail) from None


@router.delete("/addresses/{address_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove_address(address_id: UUID, principal: KeyOwner, services: InjectedServices) -> None:
    """Withdraw a claimed address: within 30 seconds the user may no longer send from it."""
    claim = await _find_claim(services, principal.user.id, address_id)
    await services.accounts.profiles.withdraw(principal.user.id, claim.address)


async def _claimable(text: str, services: Services) -> str:
    """The canonical address. Raises HTTPException if it is none, or may not be claimed, or no code can be mailed."""
    try:
        address = canonical_address(text.strip())
    except InvalidAddress:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "this is not an address") from None
    if is_catch_all(address):
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "a catch-all has no mailbox that a code could be mailed to"
        )
    accounts = services.accounts
    if await accounts.has_domain(domain_of(address)) or await accounts.is_blocked(address):
        raise HTTPException(HTTPStatus.FORBIDDEN, "addresses of this mail system are given by its administrator")
    if not services.installation.relays:
        detail = "this mail system sends nothing to other servers (Relay__Enabled), so that it cannot mail a code"
        raise HTTPException(HTTPStatus.CONFLICT, detail)
    return address


async def _addresses(services: Services, user_id: UserId) -> list[ProfileAddress]:
    given = await services.accounts.addresses(user_id)
    claims = await services.accounts.profiles.claims(user_id)
    listed = [_given(user_id, address, is_primary=number == 0) for number, address in enumerate(given)]
    return listed + [_claimed(user_id, claim) for claim in claims]


async def _find_claim(services: Services, user_id: UserId, sought: UUID) -> Claim:
    """The claim with this id. Raises AddressNotFound, and HTTPException with 403 for an address that was given."""
    for claim in await services.accounts.profiles.claims(user_id):
        if address_id(user_id, claim.address) == sought:
            return claim
    for address in await services.accounts.addresses(user_id):
        if address_id(user_id, address) == sought:
            raise HTTPException(HTTPStatus.FORBIDDEN, "an administrator has given this address, and may take it away")
    raise AddressNotFound


def _given(user_id: UserId, address: str, *, is_primary: bool) -> ProfileAddress:
    return ProfileAddress(
        id=address_id(user_id, address), address=address, is_verified=True, is_primary=is_primary, is_given=True
    )


def _claimed(user_id: UserId, claim: Claim) -> ProfileAddress:
    return ProfileAddress(
        id=address_id(user_id, claim.address),
        address=claim.address,
        is_verified=claim.verified is not None,
        is_primary=False,
        is_given=False,
    )
