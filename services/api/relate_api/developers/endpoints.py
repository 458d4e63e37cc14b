"""`/api/wait`, `/api/faults`, `/api/release`, and DELETE of `/api/emails`: what only the developers' mode has."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from relate_accounts.types import Recipient
from relate_api.access.dependencies import Administrator, InjectedServices, Principal, Reader, Services, Writer
from relate_api.developers.arrival import Wanted, wait_for
from relate_api.developers.emptying import empty_namespace
from relate_api.developers.extract import find_codes, find_links
from relate_api.developers.fault_rules import FaultRules, InvalidRule, TooManyNamespaces
from relate_api.developers.namespaces import complete, namespace_of, within
from relate_api.developers.release import release
from relate_api.developers.schemas import (
    ArrivedEmail,
    FaultRuleDetails,
    FaultRuleList,
    FaultRulesBody,
    NoQuery,
    ReleasedEmail,
    ReleaseRequest,
    WaitQuery,
)
from relate_api.developers.waiters import Waiters
from relate_api.emails.endpoints import read_detail
from relate_api.emails.schemas import DeletedCount, EmailDetail
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.types import MessageId

INLINE_CHARACTERS = 64 * 1024  # searched on the event loop: some milliseconds; longer texts in a thread


@dataclass(frozen=True, slots=True)
class Developers:
    """What the developers' mode adds to the API. `releases` is whether messages may be sent to other servers."""

    faults: FaultRules
    waiters: Waiters
    releases: bool = False


async def get_developers(request: Request) -> Developers:
    """The `Developers` of the app."""
    developers: Developers = request.app.state.developers
    return developers


InjectedDevelopers = Annotated[Developers, Depends(get_developers)]

router = APIRouter(prefix="/api", tags=["developers"])


async def refuse_query(_: Annotated[NoQuery, Query()]) -> None:
    """Refuse parameters of the query: a caller who limits what is emptied by one would lose all."""


WithoutQuery = Depends(refuse_query)


@router.get("/wait")
async def wait_for_email(
    request: Request,
    query: Annotated[WaitQuery, Query()],
    principal: Reader,
    services: InjectedServices,
    developers: InjectedDevelopers,
) -> ArrivedEmail:
    """Wait for a message, and get it with its text, links and codes. After the timeout the answer is 404."""
    owner = principal if query.to is None else await _owner(query.to, principal, services)
    wanted = Wanted(query.subject, None if query.after is None else MessageId(query.after))
    waiting = developers.waiters.waiting(query.timeout, request.receive)
    message_id = await wait_for(services.store, owner.account_id, wanted, waiting)
    detail = await _read(owner, services, message_id)
    text, html = detail.text_body, detail.html_body
    find = partial(_find, detail.subject, text, html)
    links, codes = find() if len(text or "") + len(html or "") <= INLINE_CHARACTERS else await asyncio.to_thread(find)
    return ArrivedEmail.with_found(detail, links, codes)


@router.delete("/emails", dependencies=[WithoutQuery])
async def empty_mailboxes(principal: Writer, services: InjectedServices) -> DeletedCount:
    """Delete all messages of all mailboxes in the caller's namespace; without a namespace, of those that have none."""
    namespace = namespace_of(principal.user.address)
    return DeletedCount(deleted_count=await empty_namespace(services.accounts, services.store, namespace))


@router.get("/faults", dependencies=[WithoutQuery])
async def list_faults(principal: Reader, developers: InjectedDevelopers) -> FaultRuleList:
    """List the rules of the caller's namespace, and how many faults each has injected."""
    states = developers.faults.of(namespace_of(principal.user.address))
    return FaultRuleList(rules=[FaultRuleDetails.of(state) for state in states])


@router.put("/faults", dependencies=[WithoutQuery])
async def replace_faults(body: FaultRulesBody, principal: Writer, developers: InjectedDevelopers) -> FaultRuleList:
    """Replace the rules of the caller's namespace. Sessions that are open follow them from their next command on."""
    namespace = namespace_of(principal.user.address)
    try:
        states = developers.faults.replace(namespace, [rule.rule() for rule in body.rules])
    except InvalidRule as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    except TooManyNamespaces:
        raise HTTPException(HTTPStatus.CONFLICT, "too many namespaces have rules: delete those of others") from None
    return FaultRuleList(rules=[FaultRuleDetails.of(state) for state in states])


@router.delete("/faults", status_code=HTTPStatus.NO_CONTENT, dependencies=[WithoutQuery])
async def delete_faults(principal: Writer, developers: InjectedDevelopers) -> None:
    """Delete the rules of the caller's namespace."""
    developers.faults.replace(namespace_of(principal.user.address), [])


@router.post("/release", status_code=HTTPStatus.ACCEPTED)
async def release_email(
    request: ReleaseRequest, _: Administrator, services: InjectedServices, developers: InjectedDevelopers
) -> ReleasedEmail:
    """Send one message to other servers. Nothing else leaves the developers' mode."""
    if not developers.releases:
        raise HTTPException(HTTPStatus.CONFLICT, "mail to other servers is disabled: Relay__Enabled")
    mailbox = await _resolve(request.mailbox, services)
    return ReleasedEmail(queued=await release(services, request, mailbox))


async def _read(owner: Principal, services: Services, message_id: MessageId) -> EmailDetail:
    """The message that has arrived. Raises StoreUnavailable, and HTTPException with 409 if it was deleted meanwhile."""
    try:
        listed = await services.store.message(owner.account_id, message_id)
        raw = await services.store.open(owner.account_id, message_id)
        return await read_detail(owner, services, listed, raw)
    except MessageNotFound:  # not 404, which tells that no message has arrived
        raise HTTPException(HTTPStatus.CONFLICT, "the message was deleted when it had arrived") from None


def _find(subject: str, text: str | None, html: str | None) -> tuple[list[str], list[str]]:
    return find_links(text, html), find_codes(subject, text, html)


async def _owner(to: str, principal: Principal, services: Services) -> Principal:
    """The caller as the owner of the mailbox of an address, which is moved into the caller's namespace."""
    address = within(to.strip(), namespace_of(principal.user.address))
    recipient = await _resolve(address, services)
    return replace(principal, user=await services.accounts.user(recipient.user_id))


async def _resolve(address: str, services: Services) -> Recipient:
    """The mailbox of an address. Raises HTTPException with 422."""
    completed = complete(address, services.submission.server_name)
    recipient = await services.submission.directory.resolve(completed)
    if recipient is None:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "no mailbox can have this address")
    return recipient
