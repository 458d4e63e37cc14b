"""`Secret` wraps passwords and keys, so that commands, logs and tracebacks never show them."""

from typing import Generic, TypeVar, final

T = TypeVar("T", bound=str | bytes)


@final
class Secret(Generic[T]):
    """A password or key (str or bytes) that only `reveal()` returns."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    def reveal(self) -> T:
        """Return the value; only the authenticator calls this."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")
