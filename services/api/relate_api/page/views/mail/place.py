"""The list that a message is read from, a mailbox or a search, and the messages beside it there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query

from relate_api.access.dependencies import Services
from relate_api.emails.filters import MAX_QUERY_CHARACTERS, EmailFilters, EmailSearch
from relate_api.emails.query_language import QueryError
from relate_api.emails.searching import to_message_query
from relate_mailstore.cursors import encode_cursor
from relate_mailstore.types import INBOX, AccountId, ListedMessage, MessageId, MessageQuery

Search = Annotated[str, Query(max_length=MAX_QUERY_CHARACTERS)]


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox, or a search in all of them if there is a `query`."""

    mailbox: str = ""
    query: str = ""

    def address(self, **parameters: str) -> str:
        """The address of the list."""
        return self._address("/", parameters)

    def of(self, message_id: UUID, **parameters: str) -> str:
        """The address of one of its messages."""
        return self._address(f"/messages/{message_id}", parameters)

    async def neighbours(self, services: Services, account_id: AccountId, listed: ListedMessage) -> "Neighbours":
        """The messages that are listed before and after one."""
        query = await self._query(services, account_id)
        if query is None:
            return Neighbours()
        beside = replace(query, cursor=encode_cursor(listed), limit=1)
        newer = await services.store.find(account_id, replace(beside, oldest_first=True))
        older = await services.store.find(account_id, beside)
        return Neighbours(*(page.items[0].message.id if page.items else None for page in (newer, older)))

    @property
    def _named(self) -> dict[str, str]:
        if self.query:
            return {"q": self.query}
        return {} if self.mailbox in {"", INBOX} else {"mailbox": self.mailbox}

    def _address(self, path: str, parameters: Mapping[str, str]) -> str:
        named = {**self._named, **parameters}
        return f"{path}?{urlencode(named)}" if named else path

    async def _query(self, services: Services, account_id: AccountId) -> MessageQuery | None:
        if not self.query:
            return EmailFilters(mailbox=self.mailbox).query() if self.mailbox else None
        try:
            search = EmailSearch(q=self.query, mailbox="")
            return await to_message_query(search, account_id, services.store, services.labels)
        except QueryError:
            return None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The next newer and the next older message; None at an end of the list."""

    newer: MessageId | None = None
    older: MessageId | None = None
