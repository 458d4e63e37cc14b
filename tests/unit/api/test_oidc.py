"""Logins by tokens of an OpenID Connect issuer, which runs on loopback."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import RSAKey

from relate_accounts.ratelimit import PER_CLIENT
from relate_accounts.types import Denied, FailureReason, Granted, Identity, Scope, User
from relate_api.__main__ import oidc_logins
from relate_api.config import OidcSettings
from relate_api.oidc import Issuer, OidcLogins
from relate_api.oidc.issuer import FRESH_SECONDS, REFETCH_SECONDS, STALE_SECONDS
from relate_api.oidc.tokens import LEEWAY_SECONDS, MAX_TOKEN_CHARACTERS
from relate_config import ConfigurationError, load
from relate_mailstore.types import INBOX, AccountId
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.client import OutboundClient
from tests.support.memory_backend import MemoryBackend
from tests.support.oidc_issuer import AUDIENCE, OTHER_RSA, RSA, SHORT_RSA, OidcIssuer, ec_key
from tests.unit.api.clients import EMAILS, KEYS, create_client, expect_problem


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with OidcIssuer() as issuer:
        yield issuer


@pytest.fixture(autouse=True)
async def accepted(world: MemoryBackend, issuer: OidcIssuer) -> None:
    """Makes the API accept the issuer's tokens."""
    settings = OidcSettings(authority=issuer.authority, audience=AUDIENCE)
    world.authenticator.accept_tokens(oidc_logins(settings, world.accounts, world.store))


async def get(app: FastAPI, token: str, path: str = KEYS) -> httpx.Response:
    async with create_client(app, token) as client:
        return await client.get(path)


async def person(world: MemoryBackend, issuer: OidcIssuer, subject: str = "1") -> User:
    return await world.accounts.user_by_identity(Identity(issuer.authority, subject))


def encoded(part: object) -> str:
    octets = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def hand_made(header: dict[str, Any], issuer: OidcIssuer, secret: bytes | None) -> str:
    """A token as an attacker writes it: valid claims, and a symmetric signature or none."""
    claims = {"iss": issuer.authority, "aud": AUDIENCE, "sub": "1", "exp": int(time.time()) + 300}
    text = f"{encoded(header)}.{encoded(claims)}"
    signature = b"" if secret is None else hmac.digest(secret, text.encode(), hashlib.sha256)
    return f"{text}.{encoded(signature)}"


def named(claim: str, value: object) -> dict[str, Any]:
    return {claim: value}


# --- who is who


async def test_the_first_login_creates_a_user_with_a_verified_local_address_and_mailboxes(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer
) -> None:
    token = issuer.token(email="carol@example.org", email_verified=True, name="Carol")
    assert (await get(app, token)).status_code == 200
    user = await person(world, issuer)
    assert (user.address, user.display_name) == ("carol@example.org", "Carol")
    assert INBOX in [mailbox.name for mailbox in await world.store.mailboxes(AccountId(user.id))]


async def test_later_logins_find_the_same_user_whatever_the_claims_say(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer
) -> None:
    await get(app, issuer.token(email="carol@example.org", email_verified=True))
    first = await person(world, issuer)
    assert (await get(app, issuer.token(email="dave@example.org", email_verified=True))).status_code == 200
    assert await person(world, issuer) == first


@pytest.mark.parametrize("verified", ["true", "True", 1, [True], {"value": True}, False, None])
async def test_an_address_is_taken_only_if_the_issuer_says_true(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer, verified: object
) -> None:
    assert (await get(app, issuer.token(email="carol@example.org", email_verified=verified))).status_code == 200
    assert (await person(world, issuer)).address == ""


@pytest.mark.parametrize("address", ["bob@example.net", "Bob@EXAMPLE.net", "bob+x@example.net", "carol@elsewhere.test"])
async def test_a_user_is_never_linked_by_address_and_no_foreign_one_is_taken(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer, bob: AccountId, address: str
) -> None:
    await world.add_message(b"Subject: secret\r\n\r\n")  # Alice's, who was added last
    response = await get(app, issuer.token(email=address, email_verified=True), EMAILS)
    assert response.json()["items"] == []
    user = await person(world, issuer)
    assert AccountId(user.id) != bob
    assert user.address == ""


async def test_an_address_that_is_not_text_is_ignored(world: MemoryBackend, app: FastAPI, issuer: OidcIssuer) -> None:
    assert (await get(app, issuer.token(email=["carol@example.org"], email_verified=True))).status_code == 200
    assert (await person(world, issuer)).address == ""


@pytest.mark.parametrize("name", ["two\nlines", "x" * 201, 7, None])
async def test_a_name_that_is_no_line_of_text_is_ignored(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer, name: object
) -> None:
    assert (await get(app, issuer.token(name=name))).status_code == 200
    assert (await person(world, issuer)).display_name == ""


async def test_a_token_grants_what_a_person_may_do_but_no_administration(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer
) -> None:
    token = issuer.token(scope="admin", roles=["admin"], scopes=["admin"])
    async with create_client(app, token) as client:
        created = await client.post(KEYS, json={"name": "phone", "scopes": ["imap"]})
        assert created.status_code == 201
        assert created.json()["details"]["expires"] is None  # it outlives the token
        expect_problem(await client.post(KEYS, json={"name": "root", "scopes": ["admin"]}), 403)


async def test_a_disabled_user_is_refused(world: MemoryBackend, app: FastAPI, issuer: OidcIssuer) -> None:
    await get(app, issuer.token())
    user = await person(world, issuer)
    await world.accounts.set_disabled(user.id, disabled=True)
    expect_problem(await get(app, issuer.token(jti="another, so that it is not cached")), 401)


async def test_the_verdict_on_a_disabled_user_is_evicted(
    world: MemoryBackend, app: FastAPI, issuer: OidcIssuer
) -> None:
    token, before = issuer.token(), datetime.now(UTC)
    await get(app, token)
    await world.accounts.set_disabled((await person(world, issuer)).id, disabled=True)
    world.authenticator.enforce(await world.accounts.revoked_since(before))
    expect_problem(await get(app, token), 401)


async def test_a_user_without_an_address_cannot_write(app: FastAPI, issuer: OidcIssuer) -> None:
    async with create_client(app, issuer.token()) as client:
        for path in ("/api/emails", "/api/drafts"):
            refused = await client.post(path, json={"to": [{"address": "bob@example.net"}], "subject": "Lunch"})
            assert "no address" in expect_problem(refused, 409)["detail"]


async def test_a_user_without_an_address_has_keys_a_profile_and_an_empty_list(app: FastAPI, issuer: OidcIssuer) -> None:
    token = issuer.token()
    assert (await get(app, token, EMAILS)).json()["items"] == []
    profile = (await get(app, token, "/api/profile")).json()
    assert (profile["address"], profile["addresses"]) == ("", [])
    assert (await get(app, token, KEYS)).json() == {"items": [], "nextCursor": None}


# --- which tokens


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_rsa_signatures_are_accepted(app: FastAPI, issuer: OidcIssuer, alg: str) -> None:
    assert (await get(app, issuer.token(RSA, alg))).status_code == 200


async def test_signatures_on_elliptic_curves_are_accepted(app: FastAPI, issuer: OidcIssuer) -> None:
    assert (await get(app, issuer.token(issuer.keys[1]))).status_code == 200


async def test_a_forged_signature_is_refused(app: FastAPI, issuer: OidcIssuer) -> None:
    expect_problem(await get(app, issuer.token(OTHER_RSA)), 401)  # with the same key id
    head, claims, signature = issuer.token().split(".")
    other = issuer.token(sub="2").split(".")[1]
    for forged in (f"{head}.{other}.{signature}", f"{head}.{claims}.", f"{head}.{claims}.AAAA"):
        expect_problem(await get(app, forged), 401)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
async def test_a_token_without_a_signature_is_refused(app: FastAPI, issuer: OidcIssuer, alg: str) -> None:
    expect_problem(await get(app, hand_made({"alg": alg, "kid": "rsa"}, issuer, None)), 401)


@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256"])
async def test_a_public_key_is_no_shared_secret(app: FastAPI, issuer: OidcIssuer, alg: str) -> None:
    for secret in (RSA.as_pem(private=False), RSA.as_der(private=False), b""):
        expect_problem(await get(app, hand_made({"alg": alg, "kid": "rsa"}, issuer, secret)), 401)


async def test_a_symmetric_key_of_the_set_is_not_used(app: FastAPI, issuer: OidcIssuer) -> None:
    issuer.extra_keys.append({"kty": "oct", "kid": "shared", "k": encoded(b"secret")})
    expect_problem(await get(app, hand_made({"alg": "HS256", "kid": "shared"}, issuer, b"secret")), 401)


async def test_a_key_in_the_token_is_not_used(app: FastAPI, issuer: OidcIssuer) -> None:
    mine = RSAKey.generate_key(2048, {"kid": "mine"})
    header = {"jwk": mine.as_dict(private=False), "jku": f"{issuer.authority}/mine"}
    expect_problem(await get(app, issuer.token(mine, header=header)), 401)
    assert "/mine" not in issuer.requests


async def test_a_token_of_a_key_of_another_type_or_use_is_refused(app: FastAPI, issuer: OidcIssuer) -> None:
    curve = ec_key("enc")
    issuer.extra_keys += [
        {**curve.as_dict(private=False), "use": "enc"},
        SHORT_RSA.as_dict(private=False),
        {"kty": "EC", "kid": "broken"},
        {"kty": "unknown", "kid": "new"},
    ]
    expect_problem(await get(app, issuer.token(curve)), 401)
    expect_problem(await get(app, issuer.token(SHORT_RSA)), 401)
    expect_problem(await get(app, issuer.token(issuer.keys[1], header={"kid": "rsa"})), 401)
    assert (await get(app, issuer.token())).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"aud": []},
        {"aud": {"relate": 1}},
        {"iss": "https://id.example.org"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 1},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"nbf": "yesterday"},
    ],
)
async def test_a_token_with_wrong_claims_is_refused(app: FastAPI, issuer: OidcIssuer, claims: dict[str, Any]) -> None:
    expect_problem(await get(app, issuer.token(**claims)), 401)


async def test_the_issuer_is_compared_exactly(app: FastAPI, issuer: OidcIssuer) -> None:
    for name in (f"{issuer.authority}/", issuer.authority.upper(), f"{issuer.authority}.example"):
        expect_problem(await get(app, issuer.token(iss=name)), 401)


async def test_one_of_several_audiences_is_enough(app: FastAPI, issuer: OidcIssuer) -> None:
    assert (await get(app, issuer.token(aud=["another", AUDIENCE]))).status_code == 200
    # That of an access token is the client that got it, not this API.
    assert (await get(app, issuer.token(azp="a web client"))).status_code == 200


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "id_token", 7])
async def test_a_token_of_another_type_is_refused(app: FastAPI, issuer: OidcIssuer, kind: object) -> None:
    assert (await get(app, issuer.token(header={"typ": "at+jwt"}))).status_code == 200
    if isinstance(kind, str):
        expect_problem(await get(app, issuer.token(header={"typ": kind})), 401)
    else:
        expect_problem(await get(app, hand_made({"alg": "RS256", "kid": "rsa", "typ": kind}, issuer, b"")), 401)


async def test_clocks_may_differ_by_a_minute(app: FastAPI, issuer: OidcIssuer) -> None:
    now, some = int(time.time()), LEEWAY_SECONDS - 20
    for claim, moment in (("exp", now - some), ("nbf", now + some), ("iat", now + some)):
        assert (await get(app, issuer.token(**named(claim, moment)))).status_code == 200
    more = LEEWAY_SECONDS + 20
    for claim, moment in (("exp", now - more), ("nbf", now + more), ("iat", now + more)):
        expect_problem(await get(app, issuer.token(**named(claim, moment))), 401)


async def test_a_cached_token_expires(world: MemoryBackend, issuer: OidcIssuer) -> None:
    now = int(time.time())
    granted = await world.authenticator.validate_key(issuer.token(exp=now + 5), "192.0.2.1")
    assert isinstance(granted, Granted)
    assert granted.expires == datetime.fromtimestamp(now + 5 + LEEWAY_SECONDS, UTC)


async def test_a_token_that_never_expires_is_looked_at_again_after_a_day(app: FastAPI, issuer: OidcIssuer) -> None:
    for forever in (10**12, 10**300):
        assert (await get(app, issuer.token(exp=forever))).status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "..",
        "e30.e30.",
        f"{encoded({'alg': 'RS256', 'kid': 'rsa'})}.{encoded(b'[' * 3000)}.AAAA",
        f"{encoded(b'[' * 3000)}.e30.AAAA",
        f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['x'], 'x': 1})}.e30.AAAA",
        f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'b64': False, 'crit': ['b64']})}.e30.AAAA",
        f"{encoded({'alg': 'RS256', 'kid': ['rsa']})}.e30.AAAA",
        f"{encoded({'alg': ['RS256']})}.e30.AAAA",
        f"{encoded(b'nonsense')}.e30.AAAA",
        f"{'a' * MAX_TOKEN_CHARACTERS}.b.c",
    ],
)
async def test_nonsense_is_refused(app: FastAPI, issuer: OidcIssuer, token: str) -> None:
    expect_problem(await get(app, token), 401)


async def test_wrong_tokens_are_limited_as_wrong_keys_and_right_ones_are_not(
    app: FastAPI, world: MemoryBackend, issuer: OidcIssuer
) -> None:
    statuses = [(await get(app, issuer.token(sub=f"{n}", aud="x"))).status_code for n in range(PER_CLIENT.burst)]
    assert set(statuses) == {401}
    expect_problem(await get(app, issuer.token(aud="x", sub="last")), 429)
    assert (await get(app, issuer.token())).status_code == 200


async def test_without_an_issuer_a_token_is_a_wrong_key(alice: AccountId, issuer: OidcIssuer) -> None:
    world = MemoryBackend()
    verdicts = [await world.authenticator.validate_key(issuer.token(), "192.0.2.1") for _ in range(2)]
    assert verdicts == [Denied(FailureReason.INVALID_KEY, cache_hit=hit) for hit in (False, True)]
    assert issuer.requests == []


async def test_keys_are_accepted_beside_tokens(app: FastAPI) -> None:
    assert (await get(app, "alice")).status_code == 200


# --- the issuer's keys


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(world: MemoryBackend, issuer: OidcIssuer, clock: Clock) -> OidcLogins:
    """Logins without the authenticator's cache, on a clock that stands still."""
    client = OutboundClient(private=PrivateDestinations.ALLOW, plaintext_loopback=True)

    async def provision(_: User) -> None:
        pass

    return OidcLogins(Issuer(issuer.authority, client, clock), AUDIENCE, world.accounts, provision)


async def is_accepted(logins: OidcLogins, token: str) -> bool:
    return getattr(await logins.find(token), "scopes", None) == {Scope.APP}


async def test_the_keys_are_fetched_once(logins: OidcLogins, issuer: OidcIssuer) -> None:
    for _ in range(3):
        assert await is_accepted(logins, issuer.token())
    assert issuer.requests == ["/.well-known/openid-configuration", "/keys"]


async def test_a_new_key_is_found_at_its_first_token(logins: OidcLogins, issuer: OidcIssuer, clock: Clock) -> None:
    assert await is_accepted(logins, issuer.token())
    issuer.keys = [ec_key("rotated"), *issuer.keys]
    clock.now += REFETCH_SECONDS
    assert await is_accepted(logins, issuer.token())
    assert len(issuer.requests) == 4


async def test_a_withdrawn_key_is_refused_after_the_keys_are_fetched_again(
    logins: OidcLogins, issuer: OidcIssuer, clock: Clock
) -> None:
    withdrawn = issuer.token()
    assert await is_accepted(logins, withdrawn)
    issuer.keys = [ec_key("rotated")]
    clock.now += FRESH_SECONDS
    assert not await is_accepted(logins, withdrawn)
    assert await is_accepted(logins, issuer.token())


async def test_unknown_key_ids_cause_one_fetch_that_is_shared(
    logins: OidcLogins, issuer: OidcIssuer, clock: Clock
) -> None:
    assert await is_accepted(logins, issuer.token())
    clock.now += REFETCH_SECONDS
    for _ in range(2):
        flood = [issuer.token(header={"kid": f"unknown {number}"}) for number in range(50)]
        assert not any(await asyncio.gather(*(is_accepted(logins, token) for token in flood)))
    assert issuer.requests.count("/keys") == 2


async def test_concurrent_first_logins_share_the_fetch(logins: OidcLogins, issuer: OidcIssuer) -> None:
    token = issuer.token()
    assert all(await asyncio.gather(*(is_accepted(logins, token) for _ in range(20))))
    assert len(issuer.requests) == 2


async def test_a_token_without_a_key_id_needs_an_issuer_with_one_key_of_its_type(
    logins: OidcLogins, issuer: OidcIssuer, clock: Clock
) -> None:
    assert await is_accepted(logins, issuer.token(header={"kid": None}))
    issuer.keys.append(ec_key("second"))
    clock.now += FRESH_SECONDS
    assert not await is_accepted(logins, issuer.token(ec_key("second"), header={"kid": None}))


async def test_an_issuer_that_is_not_available_is_a_temporary_problem(app: FastAPI, issuer: OidcIssuer) -> None:
    issuer.status = "500 Internal Server Error"
    for _ in range(3):
        response = await get(app, issuer.token())
        expect_problem(response, 503)
        assert "retry-after" in response.headers
    assert issuer.requests == ["/.well-known/openid-configuration"]  # not asked again at once


async def test_keys_are_used_for_a_day_while_the_issuer_is_not_available(
    logins: OidcLogins, issuer: OidcIssuer, clock: Clock
) -> None:
    assert await is_accepted(logins, issuer.token())
    issuer.status = "503 Service Unavailable"
    clock.now += STALE_SECONDS - 1
    assert await is_accepted(logins, issuer.token())
    clock.now += REFETCH_SECONDS
    with pytest.raises(Exception, match="not available"):
        await logins.find(issuer.token())


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://id.example.org"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_discovery_document_of_another_issuer_is_refused(
    app: FastAPI, issuer: OidcIssuer, discovery: dict[str, Any]
) -> None:
    issuer.discovery = discovery
    expect_problem(await get(app, issuer.token()), 503)
    assert issuer.requests == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 10_000, b"x" * 300_000, b'{"keys": 1}', b'{"keys": []}'])
async def test_an_answer_that_is_no_document_is_refused(app: FastAPI, issuer: OidcIssuer, content: bytes) -> None:
    issuer.content = content
    expect_problem(await get(app, issuer.token()), 503)


async def test_a_redirect_of_the_issuer_is_not_followed(app: FastAPI, issuer: OidcIssuer) -> None:
    issuer.status = f"302 Found\r\nLocation: {issuer.authority}/elsewhere"
    expect_problem(await get(app, issuer.token()), 503)
    assert issuer.requests == ["/.well-known/openid-configuration"]


# --- settings


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"Oidc__Authority": "https://id.example.org"}, "Oidc__Audience"),
        ({"Oidc__Authority": "http://id.example.org", "Oidc__Audience": "x"}, "https"),
        ({"Oidc__Authority": "id.example.org", "Oidc__Audience": "x"}, "URL"),
        ({"Oidc__Authority": "https://id.example.org/?x", "Oidc__Audience": "x"}, "URL"),
        ({"Oidc__Authority": "https://a:b@id.example.org/", "Oidc__Audience": "x"}, "URL"),
    ],
)
def test_wrong_settings_are_refused(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        load(OidcSettings, environ)


def test_the_settings_are_read_and_the_secret_is_not_printed() -> None:
    environ = {"Oidc__Authority": "https://id.example.org", "Oidc__Audience": "relate", "Oidc__ClientSecret": "marked"}
    settings = load(OidcSettings, environ)
    assert settings.is_enabled
    assert "marked" not in repr(settings)
    assert not OidcSettings().is_enabled
