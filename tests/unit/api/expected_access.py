"""Which scope each route requires, written by hand: `test_access.py` compares it with the app's routes.

A route without an entry fails the tests, so that the author of a new one writes here what it requires.
"""

from dataclasses import dataclass
from typing import Any

from relate_accounts.types import Scope

READ = frozenset({Scope.API_READ, Scope.APP})
WRITE = frozenset({Scope.API_WRITE, Scope.APP})
OWN_KEYS = frozenset({Scope.APP, Scope.ADMIN})
ADMIN = frozenset({Scope.ADMIN})
PUBLIC: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Expected:
    """One scope of `scopes` is required, none for a public route. `body` is a valid one.

    With `of_all` the route serves the data of all users.
    """

    scopes: frozenset[Scope]
    body: Any = None
    of_all: bool = False


EXPECTED: dict[str, Expected] = {
    "GET /healthz/live": Expected(PUBLIC),
    "GET /healthz/ready": Expected(PUBLIC),
    "GET /openapi.json": Expected(PUBLIC),
    "GET /docs": Expected(PUBLIC),
    "GET /docs/redoc.standalone.js": Expected(PUBLIC),
    "GET /docs/docs.css": Expected(PUBLIC),
    "GET /api/keys": Expected(OWN_KEYS),
    "POST /api/keys": Expected(OWN_KEYS, {"name": "new", "scopes": ["app"]}),
    "DELETE /api/keys/{key_id}": Expected(OWN_KEYS),
    "GET /api/external/emails": Expected(READ),
    "GET /api/external/emails/search": Expected(READ),
    "GET /api/external/emails/{email_id}": Expected(READ),
    "GET /api/external/emails/{email_id}/raw": Expected(READ),
    "PATCH /api/external/emails/{email_id}": Expected(WRITE, {"isRead": True}),
    "DELETE /api/external/emails/{email_id}": Expected(WRITE),
    "GET /api/admin/users": Expected(ADMIN),
    "POST /api/admin/users": Expected(ADMIN, {"address": "new@example.org"}),
    "GET /api/admin/users/{user_id}": Expected(ADMIN, of_all=True),
    "PATCH /api/admin/users/{user_id}": Expected(ADMIN, {"quota": 1}, of_all=True),
    "DELETE /api/admin/users/{user_id}": Expected(ADMIN, of_all=True),
    "POST /api/admin/users/{user_id}/addresses": Expected(ADMIN, {"address": "more@example.org"}, of_all=True),
    "DELETE /api/admin/users/{user_id}/addresses/{address}": Expected(ADMIN, of_all=True),
    "GET /api/admin/users/{user_id}/keys": Expected(ADMIN, of_all=True),
    "POST /api/admin/users/{user_id}/keys": Expected(ADMIN, {"name": "new", "scopes": ["imap"]}, of_all=True),
    "DELETE /api/admin/users/{user_id}/keys/{key_id}": Expected(ADMIN, of_all=True),
    "GET /api/admin/domains": Expected(ADMIN),
    "POST /api/admin/domains": Expected(ADMIN, {"name": "new.example"}),
    "GET /api/admin/queue": Expected(ADMIN),
    "GET /api/admin/queue/{recipient_id}": Expected(ADMIN, of_all=True),
    "POST /api/admin/queue/hold": Expected(ADMIN, {"id": 1}),
    "POST /api/admin/queue/release": Expected(ADMIN, {"id": 1}),
    "POST /api/admin/queue/retry": Expected(ADMIN, {"id": 1}),
    "POST /api/admin/queue/drop": Expected(ADMIN, {"id": 1}),
    "GET /api/admin/events": Expected(ADMIN),
    "GET /api/admin/suppressions": Expected(ADMIN),
    "POST /api/admin/suppressions": Expected(ADMIN, {"address": "gone@elsewhere.example"}),
    "DELETE /api/admin/suppressions/{address}": Expected(ADMIN, of_all=True),
}
