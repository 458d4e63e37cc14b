"""`/settings/devices`: what a person types into a mail program, and the QR code of an account for a phone."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from relate_accounts.addresses import domain_of
from relate_accounts.types import Scope
from relate_api.access.dependencies import InjectedServices, Services
from relate_api.autoconfig.connections import Connection, Protocol, incoming, outgoing
from relate_api.autoconfig.endpoints import PROFILE
from relate_api.autoconfig.thunderbird import account_code
from relate_api.keys.granting import grantable
from relate_api.page.qr_code import draw_qr_code
from relate_api.page.routes import PageRoute
from relate_api.page.shown import one_line
from relate_api.page.views.settings.new_keys import create_key
from relate_api.page.views.settings.sections import DEVICES, Refused, show_section
from relate_api.page.visitors import KeyOwningVisitor, Visitor
from relate_service.dns_records import is_host_name

NAME_OF_PHONE = "Phone"
_SCOPES = {Protocol.IMAP: Scope.IMAP, Protocol.POP3: Scope.POP3, Protocol.SMTP: Scope.SMTP}

router = APIRouter(route_class=PageRoute)


@router.get(DEVICES)
async def show_devices(request: Request, visitor: KeyOwningVisitor, services: InjectedServices) -> Response:
    """Show the settings of mail programs."""
    return _show(request, visitor, services)


@router.post(DEVICES)
async def set_up_phone(
    request: Request, visitor: KeyOwningVisitor, services: InjectedServices, name: Annotated[str, Form()] = ""
) -> Response:
    """Create the key of a phone, and show it, once: as a QR code with the account, and to type."""
    user, installation = visitor.principal.user, services.installation
    scopes = _scopes_of_phone(services)
    if not scopes or not user.address:
        return _show(request, visitor, services, "Mail cannot be read and sent by a phone here.", name)
    try:
        created = await create_key(visitor.principal, services, name, scopes)
    except Refused as refused:
        return _show(request, visitor, services, str(refused), name)
    code = account_code(user.address, one_line(user.display_name), created.secret, installation)
    return show_section(
        request,
        visitor,
        DEVICES,
        "phone.html",
        key=created.key,
        secret=created.secret,
        code=code and draw_qr_code(code),
        connections=[incoming(installation)[0], outgoing(installation)[0]],
    )


def _show(
    request: Request, visitor: Visitor, services: Services, error: str = "", name: str = NAME_OF_PHONE
) -> Response:
    user, scopes = visitor.principal.user, _scopes_of_phone(services)
    return show_section(
        request,
        visitor,
        DEVICES,
        "devices.html",
        error,
        connections=_connections(services),
        domain=domain_of(user.address) if user.address else "",
        may_set_up=bool(scopes) and bool(user.address) and scopes <= grantable(visitor.principal),
        profile=PROFILE,
        server=services.installation.imap.server,
        has_name=is_host_name(services.installation.imap.server),
        name=name,
    )


def _connections(services: Services) -> Sequence[Connection]:
    return [*incoming(services.installation), *outgoing(services.installation)]


def _scopes_of_phone(services: Services) -> frozenset[Scope]:
    """What a phone needs; empty if mail can be read, or be submitted, by no port."""
    readers, submitters = incoming(services.installation), outgoing(services.installation)
    used = (*readers[:1], *submitters[:1]) if readers and submitters else ()
    return frozenset(_SCOPES[connection.protocol] for connection in used)
