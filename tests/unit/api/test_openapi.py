"""The API conforms to its OpenAPI document: schemathesis sends generated requests, and checks the responses."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from itertools import cycle
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckFunction
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.types import Receive, Scope, Send

from relate_accounts.types import Scope as KeyScope
from relate_accounts.types import UserId
from relate_api import live
from relate_mailstore.types import AccountId, MessageId
from tests.support.examples import examples
from tests.support.factories import delivery, eight_bit, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import PROFILE, create_api
from tests.unit.api.expected_access import EXPECTED, PUBLIC, PUSH

Case = schemathesis.Case[Any]
Filter = Callable[[Any], bool]
ADMIN = "/api/admin"
WEBHOOK_URL = "https://hooks.example.net/"
FUTURE = "2099-12-31T23:30:00+01:00"
EXAMPLES_PER_OPERATION = 15  # beside about 100 that cover its schema; deterministic


# The schema cannot express which recipients, mailboxes and base64 there are: a valid request may be refused.
BY_CONTENT = frozenset(
    {
        "send_email", "reply_to_email", "reply_to_all", "forward_email", "create_draft", "replace_draft", "send_draft",
        "create_mailbox", "patch_mailbox", "move_email", "copy_email", "move_emails",
    }
)  # fmt: skip


@schemathesis.serializer("message/rfc822")
def serialize_message(_: Any, value: Any) -> bytes:
    """A message is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


class CurrentApp:
    """The app of the current test. Each request has another client address, because wrong keys are limited by it."""

    def __init__(self) -> None:
        self.clients = map(str, ip_network("10.0.0.0/8").hosts())
        self.app = create_api(MemoryBackend())
        self.emails: Iterator[MessageId] = iter(())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["client"], scope["scheme"] = (next(self.clients), 49152), "https"
        await self.app(scope, receive, send)


def opened_by(*scopes: KeyScope) -> Filter:
    """Whether a key with these scopes opens the operation."""

    def is_opened(context: Any) -> bool:
        required = EXPECTED[context.operation.label].scopes
        return required == PUBLIC or not required.isdisjoint(scopes)

    return is_opened


current = CurrentApp()
# A stream has no end; test_live.py has its conditions.
schema = schemathesis.openapi.from_asgi("/openapi.json", current).exclude(path=live.PATH)
# Without the requests that cover the schema: an operation refuses a key without its scope before it reads the request,
# and reads it in the same way for each key that opens the operation.
only_generated = schemathesis.Config.from_dict({"phases": {"coverage": {"enabled": False}}})
schema_in_brief = schemathesis.openapi.from_asgi("/openapi.json", current, config=only_generated).exclude(
    path=live.PATH
)


@pytest.fixture(autouse=True)
async def renewed(world: MemoryBackend, alice: AccountId) -> None:
    """A new app in which Alice has mail, a read-only key and one for administration."""
    await world.accounts.create_key(UserId(alice), "reader", [KeyScope.API_READ], secret="reader")
    await world.accounts.create_key(UserId(alice), "root", [KeyScope.ADMIN], secret="root")
    raws = (simple(), multipart(), eight_bit()) * 10
    receipts = [await world.store.deliver(delivery(alice, raw=raw)) for raw in raws]
    current.app, current.emails = create_api(world), cycle(receipt.message_id for receipt in receipts)


def quoted(text: str) -> str:
    """A query for any text, as a phrase that is long enough not to be empty."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')[:500].removesuffix("\\")
    return f'"a {escaped}"'


def is_valid(case: Case, location: ParameterLocation) -> bool:
    component = case.meta.components.get(location) if case.meta else None
    return component is not None and component.mode is schemathesis.GenerationMode.POSITIVE


def replace_inexpressible(case: Case) -> None:
    """Replace values whose rules the schema cannot express: addresses, domains, a filter that may not be empty."""
    if is_valid(case, ParameterLocation.PATH) and "address" in case.path_parameters:
        case.path_parameters["address"] = "someone@example.org"
    if is_valid(case, ParameterLocation.QUERY) and case.query.get("domain"):
        case.query["domain"] = "example.org"
    if is_valid(case, ParameterLocation.BODY) and isinstance(case.body, dict) and case.path == f"{PROFILE}/addresses":
        case.body["address"] = "office@customer.test"
    if is_valid(case, ParameterLocation.BODY) and isinstance(case.body, dict) and case.path.startswith(ADMIN):
        valid: dict[str, Any] = {
            "address": "someone@example.org",
            "aliases": [],
            "domain": "example.org",
            "name": "example.org",
        }
        case.body.update({name: value for name, value in valid.items() if case.body.get(name)})
        if case.path.startswith(f"{ADMIN}/queue"):
            case.body["id"] = 1


def conforming(max_examples: int) -> settings:
    return settings(
        max_examples=examples(max_examples), derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


# The second parameter of the tests also keeps the items' ids apart: without one, pytest 9.2 gives them all the same id,
# and xdist takes them for one test.


@pytest.mark.parametrize("key", ["alice"])
@schema.include(opened_by(KeyScope.APP)).parametrize()
@conforming(EXAMPLES_PER_OPERATION)
def test_the_api_conforms_to_its_schema(case: Case, key: str) -> None:
    send(case, key)


@pytest.mark.parametrize("key", ["root"])
@schema.include(opened_by(KeyScope.ADMIN)).parametrize()
@conforming(EXAMPLES_PER_OPERATION)
def test_the_api_of_administrators_conforms_to_its_schema(case: Case, key: str) -> None:
    send(case, key)


@pytest.mark.parametrize("key", ["reader"])
@schema_in_brief.parametrize()
@conforming(EXAMPLES_PER_OPERATION)
def test_the_api_conforms_to_its_schema_for_a_key_that_only_reads(case: Case, key: str) -> None:
    send(case, key)


def send(case: Case, key: str) -> None:
    """Send a request with a key, and check the response."""
    # The schema cannot express what is valid of these.
    if is_valid(case, ParameterLocation.PATH) and "email_id" in case.path_parameters:
        case.path_parameters["email_id"] = str(next(current.emails))
    if is_valid(case, ParameterLocation.HEADER):
        case.headers.pop("If-Match", None)  # the state of a message
    if is_valid(case, ParameterLocation.QUERY):
        case.query.pop("cursor", None)  # which cursors exist
        if "pageSize" in case.query:
            case.query.pop("limit", None)  # both are the same
        if "q" in case.query:
            case.query["q"] = quoted(str(case.query["q"]))  # the query language
    if is_valid(case, ParameterLocation.BODY) and isinstance(case.body, dict) and case.body.get("expires"):
        case.body["expires"] = FUTURE  # the time must be in the future
    if is_valid(case, ParameterLocation.BODY) and isinstance(case.body, dict) and case.body.get("url"):
        case.body["url"] = WEBHOOK_URL
    if is_valid(case, ParameterLocation.BODY) and isinstance(case.body, dict) and "p256dhKey" in case.body:
        case.body = {**PUSH}  # points of a curve
    replace_inexpressible(case)
    # A schema cannot express a document of XML namespaces, so that nothing generated is a valid one.
    is_undecided = case.media_type == "text/xml" or case.operation.definition.raw["operationId"] in BY_CONTENT
    excluded: list[CheckFunction] = [positive_data_acceptance] if is_undecided else []
    case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, excluded_checks=excluded)


async def test_operations_have_unique_ids(anonymous: httpx.AsyncClient) -> None:
    paths = (await anonymous.get("/openapi.json")).json()["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert "patch_email" in names
    assert len(set(names)) == len(names)
