"""The interface of what users set about themselves: preferences, and addresses that they claim."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from relate_accounts.claims import Claim
from relate_accounts.types import UserId

Preference = str | int | bool


class ProfileStore(Protocol):
    """Storage of these, in memory or SQL. Addresses are canonical. Every method may raise AccountsUnavailable."""

    async def preferences(self, user_id: UserId) -> Mapping[str, Preference]:
        """The preferences that the user has chosen, by name."""

    async def set_preferences(self, user_id: UserId, chosen: Mapping[str, Preference]) -> None:
        """Choose preferences; others stay as they are. Raises UserNotFound."""

    async def claims(self, user_id: UserId) -> Sequence[Claim]:
        """The addresses that the user claims, sorted."""

    async def claim(self, user_id: UserId, address: str, code_hash: bytes) -> Claim:
        """Claim a canonical address, or replace the code of a claim that is not proved; one that is proved stays so.

        Raises UserNotFound, TooManyClaims, TooManyCodes.
        """

    async def prove(self, user_id: UserId, address: str, code_hash: bytes) -> Claim:
        """Prove a claim with the hash of its code; counts each try. Raises AddressNotFound, WrongCode."""

    async def withdraw(self, user_id: UserId, address: str) -> None:
        """Withdraw a claim. Raises AddressNotFound."""

    async def has_proved(self, user_id: UserId, address: str) -> bool:
        """Whether the user has proved this address."""
