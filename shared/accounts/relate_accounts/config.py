"""The settings of accounts: `Accounts__…`."""

from typing import ClassVar

from pydantic import Field

from relate_config.settings import Section


class AccountsSettings(Section):
    """`Accounts__KeyHashSecret` (or `…__File`): the secret under which keys are hashed, where it is not to be kept in
    the database beside the hashes. Keys made under another one are not accepted.
    """

    prefix: ClassVar[str] = "Accounts"

    # As long as a SHA-256 hash at least (RFC 2104 §3).
    key_hash_secret: str | None = Field(default=None, min_length=32, repr=False)

    def hash_secret(self) -> bytes | None:
        """The secret in octets, as the stores take it."""
        return None if self.key_hash_secret is None else self.key_hash_secret.encode()
