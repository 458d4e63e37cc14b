"""The answered requests of a memory store."""

from collections.abc import Callable

from relate_mailstore.errors import RequestRepeated
from relate_mailstore.request_rules import RETENTION_SECONDS
from relate_mailstore.types import AccountId, AnsweredRequest, KeyedRequest, Receipt


class MemoryRequests:
    """The requests of the last day. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answered: dict[tuple[AccountId, str], tuple[float, AnsweredRequest]] = {}

    def find(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request with this key."""
        answered, request = self._answered.get((account_id, key_hash), (0.0, None))
        return request if answered > self._clock() - RETENTION_SECONDS else None

    def expect_new(self, account_id: AccountId, request: KeyedRequest) -> None:
        """Raise RequestRepeated if the request was answered."""
        if self.find(account_id, request.key_hash) is not None:
            raise RequestRepeated(f"account {account_id}")

    def record(self, account_id: AccountId, request: KeyedRequest, receipt: Receipt) -> None:
        """Record a request whose message was delivered."""
        answered = AnsweredRequest(
            request.fingerprint, request.response, receipt.message_id, receipt.excess is not None
        )
        self._answered[account_id, request.key_hash] = self._clock(), answered
