"""Autoconfiguration: settings for the programs of people with an address in a local domain; public.

Whether an address exists is not told: every address of a local domain gets the same settings.
"""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from relate_accounts.addresses import MAX_ADDRESS_OCTETS, canonical_address, canonical_domain, domain_of
from relate_accounts.errors import InvalidAddress
from relate_api.access.dependencies import InjectedServices, Services
from relate_api.autoconfig import apple, mozilla, mta_sts, outlook
from relate_service.dns_records import STS_HOST_PREFIX

AUTOCONFIG = ("/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml")
# Programs differ in the case of the path.
AUTODISCOVER = (
    "/autodiscover/autodiscover.xml",
    "/Autodiscover/Autodiscover.xml",
    "/AutoDiscover/AutoDiscover.xml",
    "/autodiscover/Autodiscover.xml",
    "/AUTODISCOVER/AUTODISCOVER.XML",
)
PROFILE = "/email.mobileconfig"
MTA_STS = "/.well-known/mta-sts.txt"
PATHS = (*AUTOCONFIG, *AUTODISCOVER, PROFILE, MTA_STS)

_AUTOCONFIG_HOST = "autoconfig."

_XML: dict[int | str, dict[str, Any]] = {200: {"content": {"application/xml": {"schema": {"type": "string"}}}}}
_POLICY: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_PROFILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {apple.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}
_REQUEST = {"requestBody": {"required": True, "content": {"text/xml": {"schema": {}}}}}

EmailAddress = Annotated[str, Query(max_length=MAX_ADDRESS_OCTETS)]

router = APIRouter(tags=["autoconfiguration"])


@router.get(AUTOCONFIG[0], response_class=Response, responses=_XML)
@router.get(AUTOCONFIG[1], response_class=Response, include_in_schema=False)
async def autoconfigure(request: Request, services: InjectedServices, emailaddress: EmailAddress = "") -> Response:
    """Get the settings of mail programs in Mozilla's format, for the domain of an address, or of the host."""
    domain = domain_of(_canonical(emailaddress)) if emailaddress else _host_domain(request, _AUTOCONFIG_HOST)
    await _check_local(services, domain)
    return Response(mozilla.client_config(domain, services.installation), media_type=mozilla.MEDIA_TYPE)


@router.post(AUTODISCOVER[0], response_class=Response, responses=_XML, openapi_extra=_REQUEST)
async def autodiscover(request: Request, services: InjectedServices) -> Response:
    """Get the settings of mail programs in Microsoft's format, for the address in the request."""
    address = outlook.requested_address(await request.body())
    if address is None:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "expected an autodiscover request with one EMailAddress")
    canonical = _canonical(address)
    await _check_local(services, domain_of(canonical))
    return Response(outlook.settings_response(canonical, services.installation), media_type=outlook.MEDIA_TYPE)


for _variant in AUTODISCOVER[1:]:
    router.post(_variant, response_class=Response, include_in_schema=False)(autodiscover)


@router.get(PROFILE, response_class=Response, responses=_PROFILE)
async def get_mail_profile(services: InjectedServices, email: EmailAddress) -> Response:
    """Get a configuration profile for iOS and macOS. It has no password: the person types a key."""
    address = _canonical(email)
    await _check_local(services, domain_of(address))
    profile = apple.mail_profile(address, services.installation)
    if profile is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    disposition = 'attachment; filename="email.mobileconfig"'
    return Response(profile, media_type=apple.MEDIA_TYPE, headers={"Content-Disposition": disposition})


@router.get(MTA_STS, response_class=Response, responses=_POLICY)
async def get_mta_sts_policy(request: Request, services: InjectedServices) -> Response:
    """Get the MTA-STS policy of the domain whose host `mta-sts.<domain>` is asked."""
    await _check_local(services, _host_domain(request, STS_HOST_PREFIX))
    installation = services.installation
    policy = mta_sts.policy_text(installation.mta_sts, installation.smtp.server)
    if policy is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(policy, media_type="text/plain")


def _canonical(address: str) -> str:
    try:
        return canonical_address(address.strip())
    except InvalidAddress:
        raise HTTPException(HTTPStatus.NOT_FOUND) from None  # it is none of ours


def _host_domain(request: Request, prefix: str) -> str:
    """The domain in the Host field after a prefix. Raises HTTPException with 404."""
    host = request.headers.get("host", "").lower().partition(":")[0].removesuffix(".")
    if not host.startswith(prefix):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    try:
        return canonical_domain(host.removeprefix(prefix))
    except InvalidAddress:
        raise HTTPException(HTTPStatus.NOT_FOUND) from None


async def _check_local(services: Services, domain: str) -> None:
    """Raises HTTPException with 404 for a domain that is not local."""
    if not await services.accounts.has_domain(domain):
        raise HTTPException(HTTPStatus.NOT_FOUND)
