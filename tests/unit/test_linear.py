"""Untrusted input takes time linear in its size.

The regular expressions of the product are found by importing all modules; the functions that read untrusted octets are
listed in `UNTRUSTED`. Each is run on adversarial inputs of doubling size, and the growth of its CPU time is measured.
"""

import importlib
import inspect
import pkgutil
import re
from collections import deque
from collections.abc import Callable, Iterator
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import relate_accounts
import relate_api
import relate_imap
import relate_mailstore
import relate_mime
import relate_pop3
import relate_relay
import relate_smtp
import relate_submission
import relate_telemetry
import relate_wire
from tests.support.growth import super_linear
from tests.support.untrusted import UNTRUSTED

PACKAGES = (
    relate_accounts,
    relate_api,
    relate_imap,
    relate_mailstore,
    relate_mime,
    relate_pop3,
    relate_relay,
    relate_smtp,
    relate_submission,
    relate_telemetry,
    relate_wire,
)

REPEATED = [
    *(" ", "\t", "\r", "\n", "\r\n", "\r\n ", "\n a", "\0", "é", "a", "1", "a ", " a", "a\n", "a:b\n"),
    *("\\", "\\a", '"', '"a" ', "(", ")", "()", "(a", "[", "[a", "[a] ", "<", ">", "<>", "<a ", "</a ", "{1", "{1}"),
    *("&", "&a", "&#1", "%", "*", "@", "a@", ",", "a,", ";", ";a=", ":", "a:", "a: ", ".", "a.", "-", "="),
    *("=?", "=?a?q?", "re: ", "fwd:[", "<!--", "<style", "<style>"),
]
ENDS = ("", "!", "\n")


class Found(NamedTuple):
    """A compiled pattern, and the variable that holds it or a collection of it."""

    pattern: re.Pattern[Any]
    variable: str


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                yield importlib.import_module(module.name)


def find_patterns() -> Iterator[tuple[str, Found]]:
    for module in MODULES:
        for variable, value in vars(module).items():
            for key, member in members(value):
                if isinstance(member, re.Pattern):
                    yield f"{module.__name__}.{variable}{key}", Found(member, variable)


def members(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{key}]", member) for key, member in value.items()]
    if isinstance(value, tuple | list):
        return [(f"[{key}]", member) for key, member in enumerate(value)]
    return [("", value)]


MODULES = list(modules())
SOURCE = "\n".join(map(inspect.getsource, MODULES))
PATTERNS = dict(find_patterns())


def uses(found: Found) -> Iterator[Callable[[Any], Any]]:
    """The methods that the product may call on a pattern: `fullmatch`, and `finditer` or `match`."""
    yield found.pattern.fullmatch
    if re.search(rf"\b{found.variable}\.(?:search|finditer|findall|subn?|split)\b", SOURCE):
        yield lambda text: deque(found.pattern.finditer(text), maxlen=0)
    else:
        yield found.pattern.match


def repeated(unit: str, end: str, *, as_octets: bool) -> Callable[[int], Any]:
    def shape(size: int) -> Any:
        text = unit * (size // len(unit)) + end
        return text.encode() if as_octets else text

    return shape


@pytest.mark.parametrize("name", sorted(PATTERNS))  # in one order, although sets are among them
def test_a_pattern_is_linear(name: str) -> None:
    found = PATTERNS[name]
    for use, unit, end in product(uses(found), REPEATED, ENDS):
        as_octets = isinstance(found.pattern.pattern, bytes)
        assert super_linear(use, repeated(unit, end, as_octets=as_octets)) is None, (unit, end)


@pytest.mark.parametrize("name", UNTRUSTED)
def test_a_function_is_linear(name: str) -> None:
    function, seeds, units = UNTRUSTED[name]
    for before, unit, after in (*units, *((b"", seed, b"") for seed in seeds)):
        assert super_linear(function, adversarial(before, unit, after)) is None, (before, unit, after)


def adversarial(before: bytes, unit: bytes, after: bytes) -> Callable[[int], bytes]:
    return lambda size: before + unit * (size // len(unit)) + after


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) > 50
    assert "relate_mime.words._WORD" in PATTERNS
