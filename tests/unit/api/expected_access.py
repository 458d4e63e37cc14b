"""Which scope each route requires, written by hand: `test_access.py` compares it with the app's routes.

A route without an entry fails the tests, so that the author of a new one writes here what it requires.
"""

from dataclasses import dataclass, replace
from typing import Any

from relate_accounts.types import Scope
from tests.support.push_browser import SOME_BROWSER

READ = frozenset({Scope.API_READ, Scope.APP})
EDIT = frozenset({Scope.APP})  # or both to read and to write
WRITE = frozenset({Scope.API_WRITE, Scope.APP})
OWN_KEYS = frozenset({Scope.APP, Scope.ADMIN})
ADMIN = frozenset({Scope.ADMIN})
PUBLIC: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Expected:
    """One scope of `scopes` is required, none for a public route. `body` is a valid one; `{label_id}` in it is made.

    With `of_all` the route serves the data of all users. With `by_session` it is a route of the page: the credential is
    the session of a browser, and the body a form, of the kind that `has_files` if it does.
    """

    scopes: frozenset[Scope]
    body: Any = None
    of_all: bool = False
    by_session: bool = False
    has_files: bool = False


OF_ADMINISTRATION = Expected(ADMIN, of_all=True, by_session=True)
UNKNOWN = "00000000-0000-0000-0000-000000000000"
WEBHOOK = {"url": "https://hooks.example.net/", "events": ["new"]}

PUSH = {
    "endpoint": "https://push.example.net/send/abc",
    "p256dhKey": SOME_BROWSER.keys.p256dh,
    "authKey": SOME_BROWSER.keys.auth,
}

EMAILS = ("/api/emails", "/api/external/emails")
OF_EMAILS: dict[tuple[str, str], Expected] = {
    ("GET", ""): Expected(READ),
    ("GET", "/search"): Expected(READ),
    ("GET", "/{email_id}"): Expected(READ),
    ("PATCH", "/{email_id}"): Expected(WRITE, {"isRead": True}),
    ("DELETE", "/{email_id}"): Expected(WRITE),
    ("GET", "/{email_id}/raw"): Expected(READ),
    ("GET", "/{email_id}/export/eml"): Expected(READ),
    ("GET", "/{email_id}/attachments/{attachment_id}"): Expected(READ),
    ("GET", "/export/mbox"): Expected(READ),
    ("GET", "/threads/{thread_id}"): Expected(READ),
    ("GET", "/sent"): Expected(READ),
    ("GET", "/sent/addresses"): Expected(READ),
    ("POST", "/bulk/mark-read"): Expected(WRITE, {"emailIds": [UNKNOWN]}),
    ("POST", "/bulk/delete"): Expected(WRITE, {"emailIds": [UNKNOWN]}),
}

PAGE: dict[str, Expected] = {
    "GET /static/{name}": Expected(PUBLIC),
    "GET /sign-in": Expected(PUBLIC),
    "POST /sign-in": Expected(PUBLIC, by_session=True),  # its form has a secret of its own
    "GET /sign-in/issuer": Expected(PUBLIC),
    "GET /sign-in/callback": Expected(PUBLIC),
    "POST /sign-out": Expected(frozenset(Scope), by_session=True),
    "GET /": Expected(READ | ADMIN, by_session=True),
    "GET /messages/{email_id}": Expected(READ, by_session=True),
    "GET /messages/{email_id}/html": Expected(READ, by_session=True),
    "GET /messages/{email_id}/source": Expected(READ, by_session=True),
    "GET /messages/{email_id}/file": Expected(READ, by_session=True),
    "GET /messages/{email_id}/journey": Expected(READ, by_session=True),
    "GET /messages/{email_id}/attachments/{attachment_id}": Expected(READ, by_session=True),
    "GET /threads/{thread_id}": Expected(READ, by_session=True),
    "GET /events": Expected(READ, by_session=True),
    "POST /messages/actions": Expected(WRITE, {"action": "read", "id": UNKNOWN}, by_session=True),
    "GET /compose": Expected(WRITE, by_session=True),
    "POST /compose": Expected(WRITE, {"action": "discard"}, by_session=True, has_files=True),
    "GET /settings": Expected(READ | OWN_KEYS, by_session=True),
    "GET /settings/filters": Expected(READ, by_session=True),
    "GET /settings/filters/new": Expected(EDIT, by_session=True),
    "POST /settings/filters/new": Expected(EDIT, {"name": "New"}, by_session=True),
    "GET /settings/filters/{filter_id}": Expected(EDIT, by_session=True),
    "POST /settings/filters/{filter_id}": Expected(EDIT, {"name": "Other"}, by_session=True),
    "POST /settings/filters/{filter_id}/actions": Expected(EDIT, {"action": "disable"}, by_session=True),
    "GET /settings/labels": Expected(READ, by_session=True),
    "POST /settings/labels": Expected(EDIT, {"name": "New"}, by_session=True),
    "GET /settings/labels/{label_id}": Expected(EDIT, by_session=True),
    "POST /settings/labels/{label_id}": Expected(EDIT, {"name": "Other"}, by_session=True),
    "POST /settings/labels/{label_id}/delete": Expected(EDIT, by_session=True),
    "GET /settings/mailboxes": Expected(READ, by_session=True),
    "POST /settings/mailboxes": Expected(EDIT, {"name": "New"}, by_session=True),
    "GET /settings/mailboxes/{mailbox_id}": Expected(EDIT, by_session=True),
    "POST /settings/mailboxes/{mailbox_id}": Expected(EDIT, {"name": "Other"}, by_session=True),
    "POST /settings/mailboxes/{mailbox_id}/empty": Expected(EDIT, by_session=True),
    "POST /settings/mailboxes/{mailbox_id}/delete": Expected(EDIT, by_session=True),
    "GET /settings/devices": Expected(OWN_KEYS, by_session=True),
    "POST /settings/devices": Expected(OWN_KEYS, {"name": "Phone"}, by_session=True),
    "GET /settings/keys": Expected(OWN_KEYS, by_session=True),
    "POST /settings/keys": Expected(OWN_KEYS, {"name": "new", "scope": "imap"}, by_session=True),
    "POST /settings/keys/{key_id}/revoke": Expected(OWN_KEYS, by_session=True),
    "GET /admin": OF_ADMINISTRATION,
    "GET /admin/users": OF_ADMINISTRATION,
    "POST /admin/users": replace(OF_ADMINISTRATION, body={"address": "new@example.org"}),
    "GET /admin/users/{user_id}": OF_ADMINISTRATION,
    "POST /admin/users/{user_id}": replace(OF_ADMINISTRATION, body={"name": "Alice", "quota": "1"}),
    "POST /admin/users/{user_id}/logins": replace(OF_ADMINISTRATION, body={"disabled": "false"}),
    "POST /admin/users/{user_id}/addresses": replace(OF_ADMINISTRATION, body={"address": "more@example.org"}),
    "POST /admin/users/{user_id}/addresses/remove": replace(OF_ADMINISTRATION, body={"address": "{address}"}),
    "POST /admin/users/{user_id}/keys": replace(OF_ADMINISTRATION, body={"name": "new", "scope": "imap"}),
    "POST /admin/users/{user_id}/keys/{key_id}/revoke": OF_ADMINISTRATION,
    "GET /admin/users/{user_id}/remove": OF_ADMINISTRATION,
    "POST /admin/users/{user_id}/remove": OF_ADMINISTRATION,
    "GET /admin/domains": OF_ADMINISTRATION,
    "POST /admin/domains": replace(OF_ADMINISTRATION, body={"name": "new.example"}),
    "GET /admin/domains/{domain}": OF_ADMINISTRATION,
    "POST /admin/domains/{domain}/look-up": OF_ADMINISTRATION,
    "GET /admin/queue": OF_ADMINISTRATION,
    "POST /admin/queue/actions": replace(OF_ADMINISTRATION, body={"action": "hold", "id": "{recipient_id}"}),
    "GET /admin/suppressions": OF_ADMINISTRATION,
    "POST /admin/suppressions": replace(OF_ADMINISTRATION, body={"address": "gone@elsewhere.example"}),
    "POST /admin/suppressions/remove": replace(OF_ADMINISTRATION, body={"address": "{address}"}),
    "GET /admin/events": OF_ADMINISTRATION,
    "GET /admin/journeys": OF_ADMINISTRATION,
}

EXPECTED: dict[str, Expected] = {
    **PAGE,
    "GET /healthz/live": Expected(PUBLIC),
    "GET /healthz/ready": Expected(PUBLIC),
    "GET /openapi.json": Expected(PUBLIC),
    "GET /docs": Expected(PUBLIC),
    "GET /api/discovery": Expected(PUBLIC),
    "GET /config/config.json": Expected(PUBLIC),
    "GET /mail/config-v1.1.xml": Expected(PUBLIC),
    "GET /.well-known/autoconfig/mail/config-v1.1.xml": Expected(PUBLIC),
    "GET /.well-known/mta-sts.txt": Expected(PUBLIC),
    "GET /email.mobileconfig": Expected(PUBLIC),
    "POST /autodiscover/autodiscover.xml": Expected(PUBLIC),
    "POST /autodiscover/Autodiscover.xml": Expected(PUBLIC),
    "POST /Autodiscover/Autodiscover.xml": Expected(PUBLIC),
    "POST /AutoDiscover/AutoDiscover.xml": Expected(PUBLIC),
    "POST /AUTODISCOVER/AUTODISCOVER.XML": Expected(PUBLIC),
    "GET /docs/redoc.standalone.js": Expected(PUBLIC),
    "GET /docs/docs.css": Expected(PUBLIC),
    "GET /api/keys": Expected(OWN_KEYS),
    "POST /api/keys": Expected(OWN_KEYS, {"name": "new", "scopes": ["app"]}),
    "DELETE /api/keys/{key_id}": Expected(OWN_KEYS),
    **{f"{verb} {prefix}{path}": expected for prefix in EMAILS for (verb, path), expected in OF_EMAILS.items()},
    "POST /api/emails": Expected(WRITE, {"to": [{"address": "bob@example.net"}], "subject": "Lunch"}),
    "POST /api/emails/{email_id}/reply": Expected(WRITE, {"textBody": "Yes."}),
    "POST /api/emails/{email_id}/reply-all": Expected(WRITE, {"textBody": "Yes."}),
    "POST /api/emails/{email_id}/forward": Expected(WRITE, {"to": [{"address": "bob@example.net"}]}),
    "POST /api/emails/{email_id}/move": Expected(WRITE, {"mailbox": "Archive"}),
    "POST /api/emails/{email_id}/copy": Expected(WRITE, {"mailbox": "Archive"}),
    "POST /api/emails/bulk/move": Expected(WRITE, {"mailbox": "Archive", "emailIds": [UNKNOWN]}),
    "GET /api/emails/{email_id}/journey": Expected(READ),
    "GET /api/journeys": Expected(READ | ADMIN),
    "GET /api/drafts": Expected(READ),
    "POST /api/drafts": Expected(WRITE, {"subject": "Lunch"}),
    "GET /api/drafts/{draft_id}": Expected(READ),
    "PUT /api/drafts/{draft_id}": Expected(WRITE, {"subject": "Dinner"}),
    "DELETE /api/drafts/{draft_id}": Expected(WRITE),
    "POST /api/drafts/{draft_id}/send": Expected(WRITE),
    "GET /api/mailboxes": Expected(READ),
    "POST /api/mailboxes": Expected(WRITE, {"name": "New"}),
    "GET /api/mailboxes/{mailbox_id}": Expected(READ),
    "PATCH /api/mailboxes/{mailbox_id}": Expected(WRITE, {"subscribed": True}),
    "DELETE /api/mailboxes/{mailbox_id}": Expected(WRITE),
    "GET /api/labels": Expected(READ),
    "POST /api/labels": Expected(WRITE, {"name": "New", "color": "#3b82f6"}),
    "PUT /api/labels/{label_id}": Expected(WRITE, {"name": "Other", "color": "#3b82f6"}),
    "DELETE /api/labels/{label_id}": Expected(WRITE),
    "GET /api/labels/{label_id}/emails": Expected(READ),
    "POST /api/labels/emails/{email_id}": Expected(WRITE, {"labelId": "{label_id}"}),
    "DELETE /api/labels/emails/{email_id}/{label_id}": Expected(WRITE),
    "GET /api/filters": Expected(READ),
    "POST /api/filters": Expected(WRITE, {"name": "New"}),
    "PUT /api/filters/{filter_id}": Expected(WRITE, {"name": "Other"}),
    "DELETE /api/filters/{filter_id}": Expected(WRITE),
    "POST /api/filters/{filter_id}/test": Expected(READ),
    "GET /api/events": Expected(READ),
    "GET /api/webhooks": Expected(OWN_KEYS),
    "POST /api/webhooks": Expected(OWN_KEYS, WEBHOOK),
    "GET /api/webhooks/{webhook_id}": Expected(OWN_KEYS),
    "PATCH /api/webhooks/{webhook_id}": Expected(OWN_KEYS, {"enabled": False}),
    "DELETE /api/webhooks/{webhook_id}": Expected(OWN_KEYS),
    "POST /api/webhooks/{webhook_id}/rotate-secret": Expected(OWN_KEYS),
    "POST /api/webhooks/{webhook_id}/test": Expected(OWN_KEYS),
    "GET /api/webhooks/{webhook_id}/deliveries": Expected(OWN_KEYS),
    "POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Expected(OWN_KEYS),
    "GET /api/pushsubscriptions/vapid-public-key": Expected(PUBLIC),
    "GET /api/pushsubscriptions": Expected(OWN_KEYS),
    "POST /api/pushsubscriptions": Expected(OWN_KEYS, PUSH),
    "DELETE /api/pushsubscriptions/{subscription_id}": Expected(OWN_KEYS),
    "GET /api/preferences": Expected(READ),
    "PUT /api/preferences": Expected(WRITE, {"theme": "dark"}),
    "GET /api/profile": Expected(READ),
    "PUT /api/profile": Expected(WRITE, {"displayName": "Alice"}),
    "POST /api/profile/addresses": Expected(OWN_KEYS, {"address": "office@customer.test"}),
    "POST /api/profile/addresses/{address_id}/verify": Expected(OWN_KEYS, {"code": "wrong"}),
    "DELETE /api/profile/addresses/{address_id}": Expected(OWN_KEYS),
    "GET /api/smtp-credentials": Expected(OWN_KEYS),
    "POST /api/smtp-credentials": Expected(OWN_KEYS, {"name": "new"}),
    "POST /api/smtp-credentials/mobile": Expected(OWN_KEYS, {"deviceName": "phone", "platform": "ios"}),
    "DELETE /api/smtp-credentials/{key_id}": Expected(OWN_KEYS),
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
    "GET /api/wait": Expected(READ),
    "DELETE /api/emails": Expected(WRITE),
    "GET /api/faults": Expected(READ),
    "PUT /api/faults": Expected(WRITE, {"rules": [{"service": "smtp", "command": "RCPT", "reply": "451"}]}),
    "DELETE /api/faults": Expected(WRITE),
    "POST /api/release": Expected(
        ADMIN, {"mailbox": "alice@example.org", "emailId": "{email_id}", "to": ["bob@elsewhere.example"]}
    ),
    "GET /api/admin/suppressions": Expected(ADMIN),
    "POST /api/admin/suppressions": Expected(ADMIN, {"address": "gone@elsewhere.example"}),
    "DELETE /api/admin/suppressions/{address}": Expected(ADMIN, of_all=True),
}
