"""Signing in by an OpenID Connect issuer: the authorization code flow with PKCE, state and nonce."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from relate_accounts.types import Identity, Scope
from relate_accounts.web_sessions import hash_token
from relate_api.__main__ import oidc_logins
from relate_api.config import OidcSettings
from relate_api.oidc import SIGN_IN_SECONDS, CodeFlow
from relate_api.oidc.browser_secrets import BrowserSecrets, sign
from relate_api.oidc.code_flow import MAX_REDEMPTIONS_PER_CLIENT
from relate_api.page import Page
from tests.support.memory_backend import MemoryBackend
from tests.support.oidc_issuer import AUDIENCE, OTHER_RSA, OidcIssuer
from tests.unit.api.clients import create_api, create_client
from tests.unit.api.page.browsing import COOKIE

CLIENT, CALLBACK = "relate page", "https://mail.example.org/sign-in/callback"
VISIT = "__Host-relate-issuer"


@dataclass
class Clock:
    """The time of the server, in seconds since 1970."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@dataclass
class Flow:
    """A browser, and the issuer that it is led to."""

    browser: httpx.AsyncClient
    issuer: OidcIssuer
    clock: Clock
    state: str = ""
    nonce: str = ""

    @property
    def cookie(self) -> str:
        """What the browser keeps while its person is at the issuer."""
        return self.browser.cookies[VISIT]

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.browser.cookies.delete(VISIT)
        self.browser.cookies.set(VISIT, value, "mail.example.org")

    async def begin(self) -> dict[str, str]:
        """Follow the link; returns the parameters that the issuer gets."""
        response = await self.browser.get("/sign-in/issuer")
        assert response.status_code == 303, response.text
        url = urlsplit(response.headers["location"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{self.issuer.authority}/authorize"
        sent = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.state, self.nonce = sent["state"], sent["nonce"]
        return sent

    async def come_back(self, state: str | None = None, code: str = "code") -> httpx.Response:
        """Come back from the issuer."""
        return await self.browser.get("/sign-in/callback", params={"code": code, "state": state or self.state})


@pytest.fixture
async def flow(world: MemoryBackend) -> AsyncIterator[Flow]:
    async with OidcIssuer() as issuer:
        settings = OidcSettings(
            authority=issuer.authority,
            audience=AUDIENCE,
            client_id=CLIENT,
            client_secret="s&cret",
            redirect_uri=CALLBACK,
        )
        logins, clock = oidc_logins(settings, world.accounts, world.store), Clock()
        shown = Page(code_flow=CodeFlow(logins, settings, await world.accounts.sign_in_secret(), clock))
        async with create_client(create_api(world, shown=shown)) as browser:
            yield Flow(browser, issuer, clock)


async def test_a_person_signs_in(world: MemoryBackend, flow: Flow) -> None:
    assert 'href="/sign-in/issuer"' in (await flow.browser.get("/sign-in")).text
    sent = await flow.begin()
    assert (sent["response_type"], sent["client_id"], sent["redirect_uri"]) == ("code", CLIENT, CALLBACK)
    flow.issuer.answer = {"id_token": flow.issuer.token(aud=CLIENT, nonce=flow.nonce, sub="7", name="Carol")}
    response = await flow.come_back()
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert (await flow.browser.get("/")).status_code == 200
    user = await world.accounts.user_by_identity(Identity(flow.issuer.authority, "7"))
    found = await world.accounts.web_sessions.find(hash_token(flow.browser.cookies[COOKIE]))
    assert found is not None
    assert (found.user, found.key, found.session.scopes) == (user, None, frozenset({Scope.APP}))


async def test_the_code_is_redeemed_with_its_verifier_and_the_secret(flow: Flow) -> None:
    sent = await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(aud=CLIENT, nonce=flow.nonce)}
    await flow.come_back(code="the code")
    (form,) = flow.issuer.forms
    challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
    assert (sent["code_challenge_method"], sent["code_challenge"]) == ("S256", challenge.decode())
    assert (form["grant_type"], form["code"], form["redirect_uri"]) == ("authorization_code", "the code", CALLBACK)
    assert form["Authorization"] == "Basic " + base64.b64encode(b"relate+page:s%26cret").decode()
    assert "client_secret" not in form


async def test_an_answer_that_this_browser_has_not_requested_is_refused(flow: Flow) -> None:
    flow.issuer.answer = {"id_token": flow.issuer.token(aud=CLIENT, nonce="nonce")}
    assert (await flow.come_back("state")).status_code == 403  # nothing was begun
    await flow.begin()
    assert (await flow.come_back("other")).status_code == 403
    assert (await flow.come_back()).status_code == 403  # the cookie is for one answer
    assert flow.issuer.forms == []
    assert COOKIE not in flow.browser.cookies


def _of_others(flow: Flow) -> str:
    """A cookie that another server has signed."""
    return sign(b"secret", BrowserSecrets(flow.state, flow.nonce, "verifier"), int(flow.clock.now) + SIGN_IN_SECONDS)


def _not_signed(flow: Flow) -> str:
    return f"{flow.state}.{flow.nonce}.verifier"


def _with_more_time(flow: Flow) -> str:
    expires, rest = flow.cookie.split(".", 1)
    return f"{int(expires) + SIGN_IN_SECONDS}.{rest}"


def _with_another_verifier(flow: Flow) -> str:
    *others, verifier, signature = flow.cookie.split(".")
    return ".".join((*others, verifier.swapcase(), signature))


def _cut_off(flow: Flow) -> str:
    return flow.cookie.rpartition(".")[0]


@pytest.mark.parametrize("forge", [_of_others, _not_signed, _with_more_time, _with_another_verifier, _cut_off])
async def test_a_forged_cookie_causes_no_request_to_the_issuer(flow: Flow, forge: Callable[[Flow], str]) -> None:
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(aud=CLIENT, nonce=flow.nonce)}
    before = list(flow.issuer.requests)
    flow.cookie = forge(flow)
    assert (await flow.come_back()).status_code == 403
    assert flow.issuer.requests == before
    assert COOKIE not in flow.browser.cookies


async def test_an_expired_cookie_causes_no_request_to_the_issuer(flow: Flow) -> None:
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(aud=CLIENT, nonce=flow.nonce)}
    before, kept = list(flow.issuer.requests), flow.cookie
    flow.clock.now += SIGN_IN_SECONDS
    assert (await flow.come_back()).status_code == 403
    assert flow.issuer.requests == before
    flow.clock.now -= 1
    flow.cookie = kept
    assert (await flow.come_back()).status_code == 303


async def test_a_client_redeems_few_codes_at_the_same_time(flow: Flow) -> None:
    await flow.begin()
    flow.issuer.answering.clear()
    kept = flow.cookie

    async def invent(code: int) -> httpx.Response:
        return await flow.browser.get(
            "/sign-in/callback", params={"code": code, "state": flow.state}, headers={"Cookie": f"{VISIT}={kept}"}
        )

    answers = [asyncio.ensure_future(invent(code)) for code in range(3 * MAX_REDEMPTIONS_PER_CLIENT)]
    for _ in range(MAX_REDEMPTIONS_PER_CLIENT):
        await flow.issuer.posted.acquire()
    flow.issuer.answering.set()
    assert {answer.status_code for answer in await asyncio.gather(*answers)} == {403}
    assert (len(flow.issuer.forms), flow.issuer.most_unanswered) == (len(answers), MAX_REDEMPTIONS_PER_CLIENT)


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "other"}, {"nonce": None}, {"aud": AUDIENCE}, {"iss": "https://other.invalid"}, {"exp": 1}, {"sub": ""}],
    ids=str,
)
async def test_a_token_for_another_purpose_begins_no_session(flow: Flow, claims: dict[str, Any]) -> None:
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(**{"aud": CLIENT, "nonce": flow.nonce, **claims})}
    assert (await flow.come_back()).status_code == 403
    assert COOKIE not in flow.browser.cookies


@pytest.mark.parametrize(
    "claims",
    [{"aud": [CLIENT, "other"]}, {"aud": [CLIENT, "other"], "azp": "other"}, {"azp": "other"}, {"azp": ""}],
    ids=str,
)
async def test_a_token_of_which_another_client_is_the_authorized_party_begins_no_session(
    flow: Flow, claims: dict[str, Any]
) -> None:
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(**{"aud": CLIENT, "nonce": flow.nonce, **claims})}
    assert (await flow.come_back()).status_code == 403
    assert COOKIE not in flow.browser.cookies


@pytest.mark.parametrize("claims", [{"aud": [CLIENT, "other"], "azp": CLIENT}, {"azp": CLIENT}, {"aud": [CLIENT]}])
async def test_a_token_of_which_this_client_is_the_authorized_party_begins_a_session(
    flow: Flow, claims: dict[str, Any]
) -> None:
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(**{"aud": CLIENT, "nonce": flow.nonce, **claims})}
    assert (await flow.come_back()).status_code == 303


async def test_a_token_that_another_key_has_signed_begins_no_session(flow: Flow) -> None:
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(OTHER_RSA, aud=CLIENT, nonce=flow.nonce)}
    assert (await flow.come_back()).status_code == 403


@pytest.mark.parametrize("answer", [{}, {"id_token": 7}, {"error": "invalid_grant"}], ids=str)
async def test_an_answer_without_a_token_begins_no_session(flow: Flow, answer: dict[str, Any]) -> None:
    await flow.begin()
    flow.issuer.answer = answer
    assert (await flow.come_back()).status_code == 403


async def test_a_disabled_person_does_not_sign_in(world: MemoryBackend, flow: Flow) -> None:
    barred = await world.accounts.add_identity(Identity(flow.issuer.authority, "barred"))
    await world.accounts.set_disabled(barred.id, disabled=True)
    await flow.begin()
    flow.issuer.answer = {"id_token": flow.issuer.token(aud=CLIENT, nonce=flow.nonce, sub="barred")}
    assert (await flow.come_back()).status_code == 403


async def test_an_issuer_that_does_not_answer_is_an_error_of_ours(flow: Flow) -> None:
    flow.issuer.status = "500 Internal Server Error"
    response = await flow.browser.get("/sign-in/issuer")
    assert response.status_code == 503
    assert "not available" in response.text


async def test_without_an_issuer_there_is_no_such_page(stranger: httpx.AsyncClient) -> None:
    assert "/sign-in/issuer" not in (await stranger.get("/sign-in")).text
    for path in ("/sign-in/issuer", "/sign-in/callback"):
        assert (await stranger.get(path)).status_code == 404
