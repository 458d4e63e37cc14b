"""Every route of the app, with every kind of credential, on the caller's own resource and on another user's.

The routes are those of the app, so that a new one is tested without a change here; it needs an entry in
`expected_access.py`, and a new path parameter one in `RESOURCES`.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from relate.dev.faults import Faults
from relate_accounts.clock import utc_now
from relate_accounts.types import Granted, Identity, NewKey, Scope, UserId
from relate_api.__main__ import oidc_logins
from relate_api.access.dependencies import ScopeRequirement
from relate_api.config import OidcSettings
from relate_api.developers import Developers
from relate_api.developers.waiters import Waiters
from relate_api.profile.schemas import address_id
from relate_api.webhooks.signing import make_secret
from relate_mailstore.filter_types import FilterRule, LabelStyle
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient, QueueFilter
from relate_mailstore.suppression_types import Suppression, SuppressionSource
from relate_mailstore.types import AccountId, Delivery, Flag, NewMessage
from relate_mailstore.webhook_types import NewWebhook, WebhookEvent
from tests.support.factories import delivery, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.support.oidc_issuer import AUDIENCE, OidcIssuer
from tests.support.push_browser import SOME_BROWSER
from tests.unit.api.clients import create_api, create_client, expect_problem
from tests.unit.api.expected_access import EXPECTED, PUBLIC, UNKNOWN, Expected

Dependencies = Dependant | None


def no_waiters() -> Developers:
    """The developers' mode, whose routes are tested too, without room for a waiting request."""
    return Developers(Faults(), Waiters(0), releases=True)


def find_routes(app: FastAPI) -> dict[str, Dependencies]:
    """The routes as `GET /path/{name}`, with the dependencies of each."""
    found: dict[str, Dependencies] = {}
    for route in iter_route_contexts(app.routes):
        path = re.sub(r":\w+}", "}", route.path or "")
        for method in (route.methods or set()) - {"HEAD"}:
            found[f"{method} {path}"] = getattr(route, "dependant", None)
    return found


def required_scopes(dependant: Dependencies) -> frozenset[Scope]:
    """The scopes of the `ScopeRequirement` among the dependencies."""
    dependencies = dependant.dependencies if dependant else []
    calls: list[Any] = [item.call for item in dependencies]
    own = [call.scopes for call in calls if isinstance(call, ScopeRequirement)]
    return frozenset().union(*own, *map(required_scopes, dependencies))


ROUTES = find_routes(create_api(MemoryBackend(), developers=no_waiters()))
OF_PAGE = sorted(name for name in ROUTES if EXPECTED.get(name, Expected(PUBLIC)).by_session)
PROTECTED = sorted(name for name in ROUTES if EXPECTED.get(name, Expected(PUBLIC)).scopes and name not in OF_PAGE)
BY_SESSION = sorted(name for name in OF_PAGE if EXPECTED[name].scopes)
OF_USERS = sorted(name for name in BY_SESSION if "{" in name and not EXPECTED[name].of_all)
OWNED = sorted(name for name in PROTECTED if "{" in name and not EXPECTED[name].of_all)
OF_ALL = sorted(name for name in PROTECTED if EXPECTED[name].of_all)
PAGES_OF_ALL = sorted(name for name in BY_SESSION if "{" in name and EXPECTED[name].of_all)

# Where a user's resource comes from, by the name of its path parameter: an id of a new one.
Make = Callable[[MemoryBackend, UserId], Awaitable[object]]


async def make_email(world: MemoryBackend, user_id: UserId) -> object:
    """A message with an attachment."""
    return (await world.store.deliver(delivery(AccountId(user_id), raw=multipart()))).message_id


async def find_attachment(world: MemoryBackend, user_id: UserId) -> object:
    return "2"


async def make_draft(world: MemoryBackend, user_id: UserId) -> object:
    account_id = AccountId(user_id)
    await world.store.provision(account_id)
    appended = await world.store.append(account_id, "Drafts", [NewMessage(DRAFT, Flag.DRAFT)])
    entries = (await world.store.snapshot(account_id, "Drafts")).entries
    return next(entry.message_id for entry in entries if entry.uid == appended.uids[0])


async def make_mailbox(world: MemoryBackend, user_id: UserId) -> object:
    await world.store.provision(AccountId(user_id))
    return (await world.store.create_mailbox(AccountId(user_id), f"Made {uuid4()}")).id


async def make_label(world: MemoryBackend, user_id: UserId) -> object:
    return (await world.store.labels.add(AccountId(user_id), LabelStyle(f"Made {uuid4()}", "#3b82f6", 0))).id


async def make_filter(world: MemoryBackend, user_id: UserId) -> object:
    return (await world.store.filters.add(AccountId(user_id), FilterRule("made"))).id


async def make_webhook(world: MemoryBackend, user_id: UserId) -> object:
    settings = NewWebhook("https://hooks.example.net/", frozenset(WebhookEvent))
    return (await world.store.webhooks.create(AccountId(user_id), settings, make_secret())).id


async def make_push_subscription(world: MemoryBackend, user_id: UserId) -> object:
    endpoint = "https://push.example.net/send/abc"
    return (await world.store.push_subscriptions.subscribe(AccountId(user_id), endpoint, SOME_BROWSER.keys)).id


async def make_webhook_delivery(world: MemoryBackend, user_id: UserId) -> object:
    """A delivery of the user's newest webhook."""
    *_, newest = await world.store.webhooks.of_account(AccountId(user_id))
    return (await world.store.webhooks.test(AccountId(user_id), newest.id)).id


async def make_claim(world: MemoryBackend, user_id: UserId) -> object:
    """The id of an address that the user claims."""
    address = "office@customer.test"
    if not await world.accounts.profiles.claims(user_id):  # few codes are sent in an hour
        await world.accounts.profiles.claim(user_id, address, b"hash")
    return address_id(user_id, address)


async def make_key(world: MemoryBackend, user_id: UserId) -> object:
    return (await world.accounts.create_key(user_id, "made", [Scope.SMTP])).key.id


async def make_user(_: MemoryBackend, user_id: UserId) -> object:
    return user_id


async def make_address(world: MemoryBackend, user_id: UserId) -> object:
    """An address of the user that is suppressed, too."""
    address = f"further-{len(await world.accounts.addresses(user_id))}-{user_id}@example.org"
    await world.accounts.add_alias(user_id, address)
    await world.store.suppressions.add(Suppression(address, SuppressionSource.OPERATOR, 0.0))
    return address


async def make_queued(world: MemoryBackend, user_id: UserId) -> object:
    recipient = OutgoingRecipient("bob@elsewhere.example", "elsewhere.example")
    outgoing = Outgoing("alice@example.org", (recipient,), AccountId(user_id))
    await world.store.deliver(Delivery(simple(), (), outgoing=outgoing))
    return (await world.store.queue.find(QueueFilter(), 1)).items[0].recipient_id


async def find_domain(world: MemoryBackend, user_id: UserId) -> object:
    """The domain of the user's primary address."""
    return (await world.accounts.user(user_id)).address.partition("@")[2]


RESOURCES: dict[str, Make] = {
    "email_id": make_email,
    "thread_id": make_email,
    "attachment_id": find_attachment,
    "draft_id": make_draft,
    "mailbox_id": make_mailbox,
    "label_id": make_label,
    "filter_id": make_filter,
    "webhook_id": make_webhook,
    "subscription_id": make_push_subscription,
    "delivery_id": make_webhook_delivery,
    "address_id": make_claim,
    "key_id": make_key,
    "user_id": make_user,
    "address": make_address,
    "recipient_id": make_queued,
    "domain": find_domain,
}
MISSING = {
    **dict.fromkeys(("key_id", "mailbox_id", "webhook_id", "subscription_id"), "999999"),
    **dict.fromkeys(
        ("email_id", "thread_id", "draft_id", "label_id", "filter_id", "delivery_id", "address_id"), UNKNOWN
    ),
    "attachment_id": "9",
}
DRAFT = b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


class Caller:
    """Sends requests for a route with one credential, each from another address, because wrong ones are limited."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._sent = 0

    async def send(self, route: str, credential: str | None, values: dict[str, Any]) -> httpx.Response:
        self._sent += 1
        method, path = route.split(" ")
        body = EXPECTED[route].body
        if isinstance(body, dict):
            body = {name: value.format_map(values) if isinstance(value, str) else value for name, value in body.items()}
        async with create_client(self._app, credential, address=f"192.0.2.{self._sent}") as client:
            options = {} if body is None else {"json": body}
            return await client.request(method, path.format_map(values), **options)


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId) -> FastAPI:
    """The API, without room for a stream of events and for waiting requests, which would not end."""
    return create_api(world, max_streams=0, developers=no_waiters())


@pytest.fixture
def caller(app: FastAPI) -> Caller:
    return Caller(app)


@pytest.fixture
async def issuer(world: MemoryBackend) -> AsyncIterator[OidcIssuer]:
    async with OidcIssuer() as issuer:
        settings = OidcSettings(authority=issuer.authority, audience=AUDIENCE)
        world.authenticator.accept_tokens(oidc_logins(settings, world.accounts, world.store))
        yield issuer


async def own_values(world: MemoryBackend, route: str, user_id: UserId) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", f"{route} {EXPECTED[route].body}")
    return {name: await RESOURCES[name](world, user_id) for name in names}


def test_every_route_is_listed_and_every_listed_route_exists() -> None:
    assert sorted(ROUTES) == sorted(EXPECTED)


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_a_route_requires_the_scopes_that_are_listed(route: str) -> None:
    assert required_scopes(ROUTES[route]) == EXPECTED[route].scopes


def test_every_path_parameter_has_a_resource() -> None:
    named = {name for route in (*PROTECTED, *BY_SESSION) for name in re.findall(r"{(\w+)}", route)}
    assert named <= RESOURCES.keys()
    assert {name for route in OWNED for name in re.findall(r"{(\w+)}", route)} <= MISSING.keys()


@pytest.mark.parametrize("route", sorted(set(ROUTES) - set(PROTECTED) - set(OF_PAGE)))
async def test_a_public_route_needs_no_credential(caller: Caller, route: str) -> None:
    for credential in (None, "wrong"):
        assert (await caller.send(route, credential, {"name": "page.css"})).status_code not in {401, 403}


@pytest.mark.parametrize("route", PROTECTED)
async def test_without_a_valid_credential_a_route_is_closed(
    world: MemoryBackend, caller: Caller, issuer: OidcIssuer, alice: AccountId, route: str
) -> None:
    user_id, everything = UserId(alice), list(Scope)
    revoked = await world.accounts.create_key(user_id, "revoked", everything)
    await world.accounts.revoke_key(user_id, revoked.key.id)
    expired = await world.accounts.create_key(user_id, "expired", everything, utc_now() - timedelta(seconds=1))
    disabled = await world.add_user("disabled@example.org", "disabled")
    await world.accounts.set_disabled(disabled.id, disabled=True)
    gone = await world.add_user("gone@example.org", "gone")
    await world.accounts.remove_user(gone.id)
    barred = await world.accounts.add_identity(Identity(issuer.authority, "barred"))
    await world.accounts.set_disabled(barred.id, disabled=True)
    values = await own_values(world, route, user_id)
    wrong = [None, "wrong", "rm_" + "x" * 43, revoked.secret, expired.secret, "disabled", "gone"]
    tokens = [issuer.token(aud="other"), issuer.token(exp=1), issuer.token(sub="barred")]
    for credential in (*wrong, *tokens):
        response = await caller.send(route, credential, values)
        expect_problem(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", PROTECTED)
async def test_a_key_with_one_scope_opens_the_routes_of_this_scope_only(
    world: MemoryBackend, caller: Caller, alice: AccountId, route: str
) -> None:
    for scope in Scope:
        key = await world.accounts.create_key(UserId(alice), scope, [scope])
        response = await caller.send(route, key.secret, await own_values(world, route, UserId(alice)))
        if scope in EXPECTED[route].scopes:
            assert response.status_code != 401
            assert response.status_code != 404
            assert "lacks the scope" not in response.text
        else:
            assert "lacks the scope" in expect_problem(response, 403)["detail"]


@pytest.mark.parametrize("route", PROTECTED)
async def test_a_token_opens_the_routes_of_app_only(
    world: MemoryBackend, caller: Caller, issuer: OidcIssuer, route: str
) -> None:
    person = await world.accounts.add_identity(Identity(issuer.authority, "1"))
    response = await caller.send(route, issuer.token(scope="admin"), await own_values(world, route, person.id))
    if Scope.APP in EXPECTED[route].scopes:
        assert response.status_code not in {401, 403, 404}
    else:
        expect_problem(response, 403)


@pytest.mark.parametrize("route", OF_ALL)
async def test_an_administrator_reaches_what_belongs_to_others(
    world: MemoryBackend, caller: Caller, alice: AccountId, bob: AccountId, route: str
) -> None:
    admin = (await world.accounts.create_key(UserId(alice), "admin", [Scope.ADMIN])).secret
    response = await caller.send(route, admin, await own_values(world, route, UserId(bob)))
    assert response.is_success, response.text


@pytest.mark.parametrize("route", OWNED)
async def test_another_users_resource_looks_as_one_that_does_not_exist(
    world: MemoryBackend, caller: Caller, alice: AccountId, bob: AccountId, route: str
) -> None:
    every = (await world.accounts.create_key(UserId(alice), "every", list(Scope))).secret
    foreign_values = await own_values(world, route, UserId(bob))
    before = await snapshot(world, bob)
    foreign = await caller.send(route, every, foreign_values)
    expect_problem(foreign, 404)
    missing = await caller.send(route, every, {**foreign_values, **MISSING})
    assert (foreign.content, foreign.headers) == (missing.content, missing.headers)
    assert await snapshot(world, bob) == before


@pytest.mark.parametrize("route", BY_SESSION)
async def test_without_an_open_session_a_route_of_the_page_leads_to_the_sign_in(
    world: MemoryBackend, app: FastAPI, alice: AccountId, route: str
) -> None:
    user_id = UserId(alice)
    revoked = await world.accounts.create_key(user_id, "revoked", list(Scope))
    after_revocation = await signed_in(world, app, user_id, revoked)
    await world.accounts.revoke_key(user_id, revoked.key.id)
    ended = await signed_in(world, app, user_id, await world.accounts.create_key(user_id, "ended", list(Scope)))
    await app.state.sessions.end(ended.token)
    values = await own_values(world, route, user_id)
    for session in (None, Session("forged", ""), ended, after_revocation):
        for key in (None, "alice"):  # a key is no session
            response = await visit(app, route, session, values, key=key)
            assert (response.status_code, response.headers["location"].partition("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize("route", BY_SESSION)
async def test_a_session_opens_the_routes_of_the_scopes_of_its_key_only(
    world: MemoryBackend, app: FastAPI, alice: AccountId, route: str
) -> None:
    for scope in Scope:
        key = await world.accounts.create_key(UserId(alice), scope, [scope])
        session = await signed_in(world, app, UserId(alice), key)
        response = await visit(app, route, session, await own_values(world, route, UserId(alice)))
        if scope in EXPECTED[route].scopes:
            # 409: administrators do not remove themselves; 422: a form is refused; 503: there is no room for streams
            assert response.status_code in {200, 303, 409, 422, 503}
            assert "/sign-in" not in response.headers.get("location", "") or route == "POST /sign-out"
        else:
            assert response.status_code == 403
            assert "lacks the scope" in response.text


@pytest.mark.parametrize("route", sorted(route for route in BY_SESSION if route.startswith("POST")))
async def test_a_form_without_the_secret_of_the_session_changes_nothing(
    world: MemoryBackend, app: FastAPI, alice: AccountId, route: str
) -> None:
    session = await signed_in(
        world, app, UserId(alice), await world.accounts.create_key(UserId(alice), "k", list(Scope))
    )
    other = await signed_in(world, app, UserId(alice), await world.accounts.create_key(UserId(alice), "l", list(Scope)))
    for csrf in ("", "guessed", other.csrf):
        response = await visit(app, route, Session(session.token, csrf), await own_values(world, route, UserId(alice)))
        assert response.status_code == 403
        assert "form" in response.text
    values = await own_values(world, route, UserId(alice))
    foreign = await visit(app, route, session, values, fields={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


@pytest.mark.parametrize("route", OF_USERS)
async def test_the_page_shows_another_users_mail_as_one_that_does_not_exist(
    world: MemoryBackend, app: FastAPI, alice: AccountId, bob: AccountId, route: str
) -> None:
    session = await signed_in(
        world, app, UserId(alice), await world.accounts.create_key(UserId(alice), "k", list(Scope))
    )
    values = await own_values(world, route, UserId(bob))
    foreign = await visit(app, route, session, values)
    missing = await visit(app, route, session, {**values, **MISSING})
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


@pytest.mark.parametrize("route", PAGES_OF_ALL)
async def test_a_page_of_administration_reaches_what_belongs_to_others(
    world: MemoryBackend, app: FastAPI, alice: AccountId, bob: AccountId, route: str
) -> None:
    key = await world.accounts.create_key(UserId(alice), "admin", [Scope.ADMIN])
    session = await signed_in(world, app, UserId(alice), key)
    response = await visit(app, route, session, await own_values(world, route, UserId(bob)))
    assert response.status_code in {200, 303}, response.text


class Session(NamedTuple):
    """What the browser of a session has."""

    token: str
    csrf: str


async def signed_in(world: MemoryBackend, app: FastAPI, user_id: UserId, key: NewKey) -> Session:
    user = await world.accounts.user(user_id)
    token = await app.state.sessions.begin(Granted(user, key.key.id, key.key.name, key.key.scopes))
    return Session(token, (await app.state.sessions.find(token, "192.0.2.1")).csrf)


async def visit(
    app: FastAPI,
    route: str,
    session: Session | None,
    values: dict[str, Any],
    *,
    key: str | None = None,
    fields: dict[str, str] | None = None,
) -> httpx.Response:
    """Send a request for a route of the page."""
    method, path = route.split(" ")
    async with create_client(app, key) as client:
        if session is not None:
            client.cookies.set("__Host-relate-session", session.token)
        body = {
            name: value.format_map(values) if isinstance(value, str) else value
            for name, value in (EXPECTED[route].body or {}).items()
        }
        form = {**body, "csrf": session.csrf if session else ""} if method == "POST" else None
        url = path.format_map(values)
        if EXPECTED[route].has_files and form:
            parts = {name: (None, value) for name, value in form.items()}
            return await client.request(method, url, files=parts, headers=fields)
        return await client.request(method, url, data=form, headers=fields)


async def snapshot(world: MemoryBackend, account_id: AccountId) -> object:
    """A user's keys, and the state of the INBOX."""
    await world.store.provision(account_id)
    entries = (await world.store.snapshot(account_id, "INBOX")).entries
    return await world.accounts.keys(UserId(account_id)), [(entry.uid, entry.flags) for entry in entries]
