"""Documents name only existing files, links and headings; docs/architecture only existing names of the code."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = sorted((ROOT / "docs" / "architecture").glob("*.md"))
NAMING_FILES = [ROOT / "HACKING.md", ROOT / "docs" / "production.md", *ARCHITECTURE]
LINKING = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("shared", "services", "deploy", "docs", "tests", "grafana")
PLACEHOLDERS = {"<protocol>": ("smtp", "pop3", "imap"), "<resource>": ("emails", "keys", "health")}

_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(path: Path) -> str:
    return _BLOCK.sub("", path.read_text())


def paths(text: str) -> set[str]:
    """The files and folders that a text names by their path from the root, with placeholders and braces expanded."""
    codes = (code.rstrip("/") for code in _CODE.findall(text) if "/" in code and " " not in code)
    return {path for code in codes if code.partition("/")[0] in FOLDERS for path in expand(code)}


def expand(path: str) -> list[str]:
    """Expand placeholders and braces. A placeholder has the same value at each place of a path."""
    for placeholder, values in PLACEHOLDERS.items():
        if placeholder in path:
            return [each for value in values for each in expand(path.replace(placeholder, value))]
    before, brace, rest = path.partition("{")
    if not brace:
        return [path]
    choices, _, after = rest.partition("}")
    return [each for choice in choices.split(",") for each in expand(f"{before}{choice}{after}")]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub derives them."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(prose(path)))
    return {title.strip().replace(" ", "-") for title in titles}


@cache
def source() -> str:
    files = [path for folder in ("shared", "services") for path in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(path.read_text() for path in files if ".venv" not in path.parts)


@cache
def is_defined(name: str) -> bool:
    """Whether the source defines a class, function, constant, field or literal type of this name."""
    patterns = (rf"\b(?:class|def) {name}\b", rf"^\s*{name}(?:: [^=\n]+)? =", rf"^\s*{name}: ")
    return any(re.search(pattern, source(), re.MULTILINE) for pattern in patterns)


def named(text: str) -> set[str]:
    """The parts of each `Class`, `Class.method()`, `function()` and `CONSTANT` in a text."""
    found = set()
    for code in _CODE.findall(text):
        name = code.removesuffix("()")
        is_name = re.fullmatch(r"[A-Z]\w*(\.\w+)?|_?[a-z]\w*", name) is not None
        if is_name and (code.endswith("()") or name[0].isupper()):
            found |= set(name.split("."))
    return found


SQL_WORDS = {"COMMIT"}


@pytest.mark.parametrize("page", NAMING_FILES, ids=lambda page: page.name)
def test_named_paths_exist(page: Path) -> None:
    named_paths = paths(prose(page))
    assert [path for path in sorted(named_paths) if not (ROOT / path).exists()] == []
    assert named_paths


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(page)):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", ARCHITECTURE, ids=lambda page: page.name)
def test_names_of_the_code_exist(page: Path) -> None:
    assert [name for name in sorted(named(prose(page)) - SQL_WORDS) if not is_defined(name)] == []


def test_hacking_links_to_each_page_of_the_architecture() -> None:
    links = _LINK.findall((ROOT / "HACKING.md").read_text())
    for page in ARCHITECTURE:
        assert any(link.startswith(f"docs/architecture/{page.name}") for link in links)


def test_a_missing_name_is_detected() -> None:
    assert named("`Driver._perform()` reads `CACHE_OCTETS`, not `SELECT 1`") == {"Driver", "_perform", "CACHE_OCTETS"}
    assert not is_defined("NoSuchThingAnywhere")
