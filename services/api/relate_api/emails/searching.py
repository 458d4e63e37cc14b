"""What a search means to the mail store."""

from relate_api.emails.criteria import names_label, names_mailbox, to_criteria
from relate_api.emails.filters import EmailSearch
from relate_api.emails.query_language import parse_query
from relate_mailstore.ports import Labels, MailStore
from relate_mailstore.types import AccountId, MessageQuery


async def to_message_query(
    search: EmailSearch, account_id: AccountId, store: MailStore, labels: Labels
) -> MessageQuery:
    """The query of a search: in the INBOX, unless it says where. Raises QueryError."""
    terms = parse_query(search.q)
    everywhere = names_mailbox(terms)
    mailboxes = await store.mailboxes(account_id) if everywhere else ()
    known = await labels.all(account_id) if names_label(terms) else ()
    return search.query(to_criteria(terms, mailboxes, known), everywhere)
