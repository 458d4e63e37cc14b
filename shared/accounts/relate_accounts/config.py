"""Settings of accounts: `Accounts__…`."""

from typing import ClassVar

from pydantic import Field

from relate_config.settings import Section


class AccountsSettings(Section):
    """`Accounts__KeyHashSecret` (or `…__File`): the secret for hashing keys, if it should not be stored in the database
    beside the hashes. Keys hashed with another secret are rejected.
    """

    prefix: ClassVar[str] = "Accounts"

    # At least as long as a SHA-256 hash (RFC 2104 §3).
    key_hash_secret: str | None = Field(default=None, min_length=32, repr=False)

    def hash_secret(self) -> bytes | None:
        """Return the secret in octets, as the stores expect it."""
        return None if self.key_hash_secret is None else self.key_hash_secret.encode()
