"""The routes of the developers' mode, with its logins, on the memory stores."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from relate.dev.authenticator import OpenAuthenticator
from relate.dev.directory import OpenDirectory
from relate.dev.faults import MAX_NAMESPACES, Faults
from relate.dev.mailboxes import Mailboxes
from relate_accounts.types import Scope
from relate_api.developers import Developers
from relate_api.developers.fault_rules import MAX_RULES, FaultRule
from relate_api.developers.waiters import Waiters
from relate_api.page import Page
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.queue_types import QueueFilter
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_submission.routing import LocalOnly
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import SERVER_NAME, create_api, create_client, expect_problem
from tests.unit.api.page.browsing import sign_in

ALICE = "alice@example.test"
RULE = {"service": "smtp", "command": "RCPT", "probability": 0.3, "reply": "451"}


class Developing:
    """The API of the developers' mode."""

    def __init__(self, world: MemoryBackend, *, waiters: int = 10, releases: bool = False) -> None:
        self.world = world
        self.mailboxes = Mailboxes(world.accounts)
        self.directory = OpenDirectory(self.mailboxes)
        self.faults = Faults()
        self.developers = Developers(self.faults, Waiters(waiters), releases=releases)
        self.app: FastAPI = create_api(
            world,
            authenticator=OpenAuthenticator(world.authenticator, self.mailboxes, SERVER_NAME),
            developers=self.developers,
            shown=Page(accepts_logins=True),
            directory=self.directory,
            routing=LocalOnly(self.directory),
        )

    def client(self, login: str = ALICE, namespace: str | None = None) -> httpx.AsyncClient:
        client = create_client(self.app, login)
        if namespace is not None:
            client.headers["X-Relate-Namespace"] = namespace
        return client

    async def deliver(self, address: str, subject: str = "Hello", body: str = "Hi", kind: str = "text/plain") -> str:
        recipient = await self.directory.resolve(address)
        assert recipient is not None
        raw = f"From: app@example.org\r\nTo: {address}\r\nSubject: {subject}\r\nContent-Type: {kind}\r\n\r\n{body}\r\n"
        destination = Destination(AccountId(recipient.user_id))
        return str((await self.world.store.deliver(Delivery(raw.encode(), (destination,)))).message_id)


@pytest.fixture
def developing(world: MemoryBackend) -> Developing:
    return Developing(world)


@pytest.fixture
async def client(developing: Developing) -> AsyncIterator[httpx.AsyncClient]:
    async with developing.client() as client:
        yield client


async def waiting(developing: Developing) -> None:
    """Return when a request waits."""
    while not len(developing.developers.waiters):
        await asyncio.sleep(0)


# --- waiting


async def test_a_message_that_is_there_is_returned_at_once(developing: Developing, client: httpx.AsyncClient) -> None:
    email_id = await developing.deliver(ALICE, "Welcome", "Your code is 123456: https://example.org/confirm?t=1.")
    response = await client.get("/api/wait", params={"timeout": 0})
    assert response.status_code == 200, response.text
    found = response.json()
    assert (found["id"], found["subject"], found["isRead"]) == (email_id, "Welcome", False)
    assert found["links"] == ["https://example.org/confirm?t=1"]
    assert found["codes"] == ["123456"]
    detail = (await client.get(f"/api/emails/{email_id}")).json()
    assert {name: value for name, value in found.items() if name not in {"links", "codes"}} == detail


async def test_a_request_waits_until_a_message_arrives(developing: Developing, client: httpx.AsyncClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(client.get("/api/wait", params={"to": "bob@example.test"}))
        await waiting(developing)
        await developing.deliver("carol@example.test")
        email_id = await developing.deliver("bob@example.test")
    assert request.result().json()["id"] == email_id
    assert len(developing.developers.waiters) == 0


async def test_only_a_message_with_the_subject_ends_the_wait(developing: Developing, client: httpx.AsyncClient) -> None:
    await developing.deliver(ALICE, "Newsletter")
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(client.get("/api/wait", params={"subject": "PASSWORD"}))
        await waiting(developing)
        await developing.deliver(ALICE, "Another newsletter")
        email_id = await developing.deliver(ALICE, "Your new password")
    assert request.result().json()["id"] == email_id


async def test_messages_are_returned_in_the_order_of_their_arrival(
    developing: Developing, client: httpx.AsyncClient
) -> None:
    expected = [await developing.deliver(ALICE, f"Number {number}") for number in range(3)]
    found: list[str] = []
    for _ in expected:
        response = await client.get("/api/wait", params={"timeout": 0, **({"after": found[-1]} if found else {})})
        found.append(response.json()["id"])
    assert found == expected
    expect_problem(await client.get("/api/wait", params={"timeout": 0, "after": found[-1]}), 404)


async def test_after_the_timeout_the_answer_is_404(client: httpx.AsyncClient) -> None:
    problem = expect_problem(await client.get("/api/wait", params={"timeout": 0.01}), 404)
    assert problem["detail"] == "no such message arrived in time"


async def test_a_message_before_that_is_unknown_or_deleted_is_not_told_as_no_message(
    developing: Developing, client: httpx.AsyncClient
) -> None:
    deleted = await developing.deliver(ALICE)
    assert (await client.delete("/api/emails")).json() == {"deletedCount": 1}
    for after in (deleted, "00000000-0000-0000-0000-000000000000"):
        problem = expect_problem(await client.get("/api/wait", params={"after": after}), 422)
        assert problem["detail"] == "after: the INBOX has no such message, or no longer"


async def test_a_message_that_is_deleted_when_it_has_arrived_is_not_told_as_no_message(
    developing: Developing, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await developing.deliver(ALICE)

    async def delete(*_: object) -> None:
        raise MessageNotFound

    monkeypatch.setattr(developing.world.store, "open", delete)
    assert "deleted" in expect_problem(await client.get("/api/wait"), 409)["detail"]


async def test_a_request_whose_client_disconnects_waits_no_longer(developing: Developing) -> None:
    left = asyncio.Event()

    async def receive() -> dict[str, str]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def wait() -> None:
        with pytest.raises(HTTPException, match="404"):
            async with developing.developers.waiters.waiting(3_600, receive):
                await asyncio.Event().wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(wait())
        await waiting(developing)
        left.set()
    assert len(developing.developers.waiters) == 0


async def test_a_request_that_does_not_wait_needs_no_place(world: MemoryBackend) -> None:
    developing = Developing(world, waiters=0)
    async with developing.client() as client:
        expect_problem(await client.get("/api/wait", params={"timeout": 0}), 404)
        expect_problem(await client.get("/api/wait", params={"timeout": 1}), 503)


@pytest.mark.parametrize(
    "parameters",
    [{"timeout": "-1"}, {"timeout": "121"}, {"timeout": "nan"}, {"to": "@"}, {"to": ""}, {"from": "x"}, {"after": "1"}],
)
async def test_malformed_parameters_are_refused(client: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    expect_problem(await client.get("/api/wait", params=parameters), 422)


async def test_the_number_of_waiting_requests_is_limited(world: MemoryBackend) -> None:
    developing = Developing(world, waiters=1)
    async with developing.client() as client, asyncio.TaskGroup() as tasks:
        request = tasks.create_task(client.get("/api/wait"))
        await waiting(developing)
        response = await client.get("/api/wait", params={"to": "bob@example.test"})
        assert "retry-after" in response.headers
        expect_problem(response, 503)
        await developing.deliver(ALICE)
    assert request.result().status_code == 200


async def test_a_stop_ends_the_waits(developing: Developing, client: httpx.AsyncClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(client.get("/api/wait"))
        await waiting(developing)
        developing.developers.waiters.close()
    expect_problem(request.result(), 503)
    expect_problem(await client.get("/api/wait"), 503)


# --- logins and namespaces


async def test_any_text_is_the_login_of_its_mailbox(developing: Developing) -> None:
    await developing.deliver(f"anybody@{SERVER_NAME}", "For anybody")
    async with developing.client("anybody") as client:
        assert (await client.get("/api/emails")).json()["items"][0]["subject"] == "For anybody"


async def test_a_login_that_is_no_address_is_refused(developing: Developing) -> None:
    async with developing.client("a@@") as client:
        expect_problem(await client.get("/api/emails"), 401)


async def test_the_field_moves_every_route_into_the_namespace(developing: Developing) -> None:
    await developing.deliver("alice+one@example.test", "One")
    await developing.deliver(ALICE, "None")
    async with developing.client(namespace="One") as client:
        assert [item["subject"] for item in (await client.get("/api/emails")).json()["items"]] == ["One"]
        assert (await client.get("/api/wait", params={"timeout": 0})).json()["subject"] == "One"
        expect_problem(await client.get("/api/wait", params={"timeout": 0, "to": "bob@example.test"}), 404)
        await developing.deliver("bob+one@example.test", "For Bob")
        await developing.deliver("bob@example.test", "For another Bob")
        assert (await client.get("/api/wait", params={"to": "bob@example.test"})).json()["subject"] == "For Bob"
        assert (await client.get("/api/wait", params={"to": "bob+one@example.test"})).json()["subject"] == "For Bob"


@pytest.mark.parametrize("namespace", ["", "a b", "a+b", "x" * 33, "-a", "_x", "a..b", "a."])
async def test_a_malformed_namespace_is_refused_with_the_rule(developing: Developing, namespace: str) -> None:
    async with developing.client(namespace=namespace) as client:
        detail = expect_problem(await client.get("/api/emails"), 400)["detail"]
        assert detail.startswith("X-Relate-Namespace has 1 to 32 letters")
        assert "a letter or digit first" in detail


async def test_parameters_that_do_not_limit_what_is_emptied_are_refused(
    developing: Developing, client: httpx.AsyncClient
) -> None:
    await developing.deliver(ALICE)
    expect_problem(await client.delete("/api/emails", params={"to": ALICE}), 422)
    assert (await client.get("/api/emails")).json()["totalCount"] == 1
    await client.put("/api/faults", json={"rules": [RULE]})
    expect_problem(await client.get("/api/faults", params={"service": "smtp"}), 422)
    expect_problem(await client.put("/api/faults", params={"service": "smtp"}, json={"rules": []}), 422)
    expect_problem(await client.delete("/api/faults", params={"service": "smtp"}), 422)
    assert len((await client.get("/api/faults")).json()["rules"]) == 1


async def test_only_the_mailboxes_of_the_namespace_are_emptied(developing: Developing) -> None:
    addresses = ["alice+one@example.test", "bob+one@example.net", "alice+two@example.test", ALICE]
    for address in addresses:
        await developing.deliver(address)
        await developing.deliver(address)
    async with developing.client(namespace="one") as client:
        assert (await client.delete("/api/emails")).json() == {"deletedCount": 4}
    left = []
    for address in addresses:
        async with developing.client(address) as client:
            left.append((await client.get("/api/emails")).json()["totalCount"])
    assert left == [0, 0, 2, 2]


async def test_production_has_none_of_these_routes(world: MemoryBackend, alice: AccountId) -> None:
    async with create_client(create_api(world), "alice") as client:
        response = await client.delete("/api/emails")
        expect_problem(response, 405)
        assert response.headers["allow"] == "GET, HEAD, POST"
        for path in ("/api/wait", "/api/faults"):
            expect_problem(await client.get(path), 404)
        expect_problem(await client.post("/api/release", json={}), 404)
        client.headers["X-Relate-Namespace"] = "one"  # means nothing
        assert (await client.get("/api/emails")).status_code == 200


async def test_sent_mail_reaches_any_recipient_and_none_elsewhere(developing: Developing) -> None:
    async with developing.client() as client:
        sent = await client.post(
            "/api/emails", json={"to": [{"address": "x@gmail.example"}], "subject": "Out", "textBody": "Hi"}
        )
        assert sent.is_success, sent.text
        assert [to["state"] for to in sent.json()["recipients"]] == ["delivered"]
        assert (await client.get("/api/wait", params={"to": "x@gmail.example"})).json()["subject"] == "Out"
    assert not (await developing.world.store.queue.find(QueueFilter(), 1)).items


# --- faults


async def test_rules_are_stored_by_namespace(developing: Developing, client: httpx.AsyncClient) -> None:
    stored = await client.put("/api/faults", json={"rules": [RULE]})
    assert stored.json()["rules"] == [{**RULE, "times": None, "delaySeconds": 0.0, "disconnect": None, "injected": 0}]
    async with developing.client(namespace="one") as other:
        assert (await other.get("/api/faults")).json() == {"rules": []}
        await other.put("/api/faults", json={"rules": [{**RULE, "command": "DATA"}]})
        assert (await client.get("/api/faults")).json() == stored.json()
        assert (await other.delete("/api/faults")).status_code == 204
        assert (await other.get("/api/faults")).json() == {"rules": []}
    assert [state.rule for state in developing.faults.of("")] == [
        FaultRule("smtp", "RCPT", probability=0.3, reply="451")
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": "FETCH"},
        {"reply": "250"},
        {"reply": "NO"},
        {"reply": ""},
        {"disconnect": "after"},
        {"probability": 0},
        {"probability": 1.1},
        {"delaySeconds": 61},
        {"times": 0},
        {"service": "http"},
    ],
)
async def test_a_rule_that_cannot_apply_is_refused(client: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    expect_problem(await client.put("/api/faults", json={"rules": [{**RULE, **wrong}]}), 422)
    assert (await client.get("/api/faults")).json() == {"rules": []}


async def test_the_number_of_rules_is_limited(developing: Developing, client: httpx.AsyncClient) -> None:
    expect_problem(await client.put("/api/faults", json={"rules": [RULE] * (MAX_RULES + 1)}), 422)
    for number in range(MAX_NAMESPACES):
        developing.faults.replace(f"n{number}", [FaultRule("smtp", "RCPT", reply="451")])
    expect_problem(await client.put("/api/faults", json={"rules": [RULE]}), 409)


# --- release


async def admin_key(developing: Developing) -> str:
    user = await developing.mailboxes.owner(f"postmaster@{SERVER_NAME}")
    assert user is not None
    return (await developing.world.accounts.create_key(user.id, "admin", [Scope.ADMIN])).secret


async def test_an_administrator_releases_one_message(world: MemoryBackend) -> None:
    developing = Developing(world, releases=True)
    email_id = await developing.deliver(ALICE, "Look at this")
    await developing.deliver(ALICE, "Not at this")
    body = {"mailbox": ALICE, "emailId": email_id, "to": ["me@elsewhere.example"], "sender": "qa@example.org"}
    async with developing.client() as anybody:
        assert "lacks the scope admin" in expect_problem(await anybody.post("/api/release", json=body), 403)["detail"]
    async with create_client(developing.app, await admin_key(developing)) as client:
        response = await client.post("/api/release", json=body)
        assert (response.status_code, response.json()) == (202, {"queued": 1})
    (queued,) = (await world.store.queue.find(QueueFilter(), 10)).items
    assert (queued.address, queued.domain, queued.sender) == (
        "me@elsewhere.example",
        "elsewhere.example",
        "qa@example.org",
    )
    raw = await world.store.queue.open(queued.message_id)
    assert b"Subject: Look at this" in await raw.read()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"to": ["nobody"]}, 422),
        ({"to": ["a@[192.0.2.1]"]}, 422),
        ({"to": []}, 422),
        ({"sender": "<x>"}, 422),
        ({"mailbox": "@"}, 422),
        ({"mailbox": "bob@example.test"}, 404),
    ],
)
async def test_a_release_that_cannot_be_is_refused(
    world: MemoryBackend, change: dict[str, object], status: int
) -> None:
    developing = Developing(world, releases=True)
    body = {"mailbox": ALICE, "emailId": await developing.deliver(ALICE), "to": ["me@elsewhere.example"]}
    async with create_client(developing.app, await admin_key(developing)) as client:
        expect_problem(await client.post("/api/release", json={**body, **change}), status)
    assert not (await world.store.queue.find(QueueFilter(), 1)).items


async def test_without_the_relay_nothing_is_released(developing: Developing) -> None:
    body = {"mailbox": ALICE, "emailId": await developing.deliver(ALICE), "to": ["me@elsewhere.example"]}
    async with create_client(developing.app, await admin_key(developing)) as client:
        assert "Relay__Enabled" in expect_problem(await client.post("/api/release", json=body), 409)["detail"]
    assert not (await developing.world.store.queue.find(QueueFilter(), 1)).items


# --- browsers


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST.",
        "relate.localhost:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[::ffff:192.0.2.1]",
        "relate:8080",
        "host.docker.internal",
        "Mail.Example.ORG:8080",
    ],
)
async def test_a_host_that_no_stranger_has_is_served(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/api/emails", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1x:80"]
)
@pytest.mark.parametrize("path", ["/api/emails", "/api/faults", "/", "/api/nothing"])
async def test_a_name_that_a_stranger_points_at_this_server_is_refused(
    client: httpx.AsyncClient, host: str, path: str
) -> None:
    problem = expect_problem(await client.get(path, headers={"Host": host}), 421)
    assert problem["detail"].startswith("the Host is not")


async def test_every_login_signs_in_at_the_page(developing: Developing) -> None:
    await developing.deliver(ALICE, "Shown to Alice")
    async with create_client(developing.app) as browser:
        assert (await sign_in(browser, ALICE)).headers["location"] == "/"
        assert "Shown to Alice" in (await browser.get("/")).text
