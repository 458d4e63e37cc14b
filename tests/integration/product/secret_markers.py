"""Secrets that can be told from everything else, and the search for them in what was emitted."""

import base64
from uuid import uuid4

TAIL = 12  # characters: what a message that was cut short could still show, and no two secrets share


class Secrets:
    """What must not be found."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def make(self, kind: str) -> str:
        """A new one that looks like nothing else."""
        return self.keep(f"Zq{kind}{uuid4().hex}")

    def keep(self, secret: str) -> str:
        """One that somebody else made."""
        self.all.append(secret)
        return secret

    def found(self, text: str) -> list[str]:
        """Those that can be read in a text."""
        return [secret for secret in self.all if any(form in text for form in disguises(secret[-TAIL:]))]


def disguises(secret: str) -> list[str]:
    """A secret as it is, and its base64 wherever in a longer text it stood."""
    forms = [secret]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode()).decode().rstrip("=")
        forms.append(encoded[2 * offset : -1])  # the ends depend on what was before and behind
    return forms
