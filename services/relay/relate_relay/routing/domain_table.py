"""A table of values by domain, from a setting such as `example.test=a,.example.org=b`. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic, TypeVar

from relate_outbound.dns.names import to_ascii

V = TypeVar("V")


class DomainTable(Generic[V]):
    """Values by domain. The key `.example.test` is for the subdomains of example.test at any depth, not for itself."""

    def __init__(self, entries: Mapping[str, V]) -> None:
        self._entries = dict(entries)

    def find(self, domain: str) -> V | None:
        """The value of the domain itself, else of its nearest parent with a leading dot, else None."""
        name = to_ascii(domain)
        if name is None:
            return None
        return next((self._entries[key] for key in _keys(name) if key in self._entries), None)

    def values(self) -> Collection[V]:
        """All values, some perhaps equal."""
        return self._entries.values()


def parse_domain_table(text: str, parse_value: Callable[[str], V]) -> DomainTable[V]:
    """Parse `domain=value,domain=value`. Raises ValueError naming the malformed or repeated entry."""
    entries: dict[str, V] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        domain, separator, value = map(str.strip, entry.partition("="))
        name = to_ascii(domain.removeprefix("."))
        if not separator or name is None:
            raise ValueError(f"{entry!r} is not domain=value")
        key = f".{name}" if domain.startswith(".") else name
        if key in entries:
            raise ValueError(f"{domain!r} is repeated")
        entries[key] = parse_value(value)
    return DomainTable(entries)


def _keys(name: str) -> Iterator[str]:
    yield name
    while "." in name:
        name = name.partition(".")[2]
        yield f".{name}"
