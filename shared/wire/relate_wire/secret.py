"""A value that will not print: passwords and keys travel through commands, logs and tracebacks as `Secret`."""

from typing import Generic, TypeVar, final

T = TypeVar("T", bound=str | bytes)


@final
class Secret(Generic[T]):
    """Wraps a password or key (str or bytes); only `reveal()` gives it back."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    def reveal(self) -> T:
        """The value itself: for the authenticator alone."""
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
        raise TypeError("a Secret is not pickled")
