"""What each scope of a key allows, in words."""

from collections.abc import Mapping

from relate_accounts.types import Scope

SCOPE_WORDS: Mapping[Scope, str] = {
    Scope.IMAP: "Read and sort mail in a mail program, by IMAP",
    Scope.POP3: "Fetch and delete mail in a mail program, by POP3",
    Scope.SMTP: "Send mail from a mail program, by SMTP",
    Scope.API_READ: "Read mail on this page and by the REST API",
    Scope.API_WRITE: "Change, delete and send mail on this page and by the REST API",
    Scope.APP: "All of this page and of the REST API except administration, and to make keys of all kinds but admin",
    Scope.ADMIN: "Administer the server: all users, their keys, domains and the queue",
}
"""In the order of forms."""
