"""The repository's language: the field's words, constants that end in their unit, docstrings that say something.

HACKING.md § Language has the rule. The list below holds the phrases of a dialect that this repository once had: each
stands beside the words that replace it.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A phrase of the dialect (a regular expression, in any case), and what to write instead.
DIALECT = {
    r"who(m?ever|ever)": "the noun: the client, the caller, the process",
    r"whom": "the noun",
    r"(some|no|every)body": "the noun; `no process`, `all clients`",
    r"(some|no|every) ?one (who|that|else|is|was|has|asks|may|can)": "the noun",
    r"who asks|those who ask|(is|are|was|be) asked for": "requested; the caller",
    r"harmless (when|if) (repeated|done)|do(es)? no harm": "idempotent",
    r"what (is|was) (kept|known|believed|heard|told|said|at hand)": "cached; the cached value; the notice",
    r"(is|are|was|were|be) (kept|believed|heard) (of|by|for|as|in mind)": "cached; stored; notified",
    r"lets? go of|letting go of": "release",
    r"for (ever|good)": "forever; permanently",
    r"to the letter": "exactly",
    r"at (one|a) sitting": "in one reading",
    r"at hand": "in memory; available",
    r"be (it|they) ": "whether",
    r"by and by": "gradually",
    r"the weather('s)?": "temporary errors",
    r"(has|have|had|is|are|was|were) gone (since|meanwhile|by then|again)": "was expunged; was deleted",
    r"speaks? for": "represents",
    r"says? so": "name what is said",
    r"so many (a|an|more|of)": "the count",
    r"(what|all) there is": "name it",
    r"\b(one|two|three|four) an? (second|minute|line|mailbox|message|session|client|process|command|connection)": "per",
    r"as (they|it) comes?( and goes?)?": "as received",
    r"(in|out of) the way of mail": "delays mail",
    r"hang(s|ing)? up": "disconnect; abort the connection",
    r"hears? (of|about) it": "is notified",
    r"mind(s|ed)? (guesses|refusals|that)": "count",
    r"be(en)? at it": "be running",
    r"makes? (much|little|nothing) of": "name the effect",
    r"polite": "throttled",
}
_DIALECT = [
    (re.compile(rf"(?<![\w-])(?:{phrase})(?![\w-])", re.IGNORECASE), better) for phrase, better in DIALECT.items()
]

# What a number is of, where the last word of its name is neither a unit nor the plural of what is counted.
WITHOUT_UNIT = {
    "CLASS", "CR", "DEPTH", "FACTOR", "FIELD", "ID", "KEY", "LF", "MODE", "MODSEQ", "NUL", "NUMBER", "OPTION", "PORT",
    "MASK", "RATIO", "SEED", "SHARE", "TAG", "UID", "UMASK", "VERSION", "WEIGHT",
}  # fmt: skip
# A number in a test says what it is, too.
VAGUE = {
    "BIG", "ENOUGH", "EVERY", "FEW", "GRACE", "HELD", "KEPT", "LARGE", "LIMIT", "LONG", "MANY", "NEVER", "PATIENCE",
    "PAUSE", "TIMEOUT",
}  # fmt: skip
# A docstring of fewer words says nothing, unless it refers to another one, to an RFC, or to an exception.
MIN_WORDS = 3

PYTHON = ("services", "shared", "deploy", "tests")
PROSE = ("docs", "README.md", "HACKING.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
THIS_FILE = Path(__file__).relative_to(ROOT)


@cache
def tracked() -> list[Path]:
    """Files of the repository; in a copy without Git, all files of its folders."""
    try:
        listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        found = [Path(line) for line in listing.splitlines()]
    except (FileNotFoundError, subprocess.CalledProcessError):
        tops = [ROOT / name for name in (*PYTHON, *PROSE)]
        files = [file for top in tops for file in (top.rglob("*") if top.is_dir() else [top])]
        found = [file.relative_to(ROOT) for file in files]
    return [path for path in found if path != THIS_FILE and (ROOT / path).is_file()]


def python_files() -> list[Path]:
    landed = Path("shared/mailstore/relate_mailstore/migrations/versions")  # revisions are never edited
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in PYTHON and path.parent != landed]


def pages() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def room(path: Path) -> str:
    """The part of the repository that a file belongs to: a member, or a folder of the tests."""
    depth = 3 if path.parts[0] == "tests" else 2
    return "/".join(path.parts[: min(depth, len(path.parts) - 1)])


ROOMS = sorted({room(path) for path in python_files()})


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each run of comments."""
    run: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("#: ")
        if run and line != last + 1:
            yield first, " ".join(run)
            run = []
        if not run:
            first = line
        run.append(text)
        last = line
    if run:
        yield first, " ".join(run)


def docstrings(tree: ast.Module) -> Iterator[tuple[ast.AST, int, str]]:
    """Owner, line and text of each docstring, and of each string that documents an attribute."""
    for node in ast.walk(tree):
        for child in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield node, child.lineno, child.value.value


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and words of each name of a function or a class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name.replace("_", " ")


def dialect(text: str) -> list[str]:
    prose = " ".join(text.split())
    return [f"{found[0]!r} (rather: {better})" for pattern, better in _DIALECT if (found := pattern.search(prose))]


def is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()):
            return True
        case ast.BinOp(left=left, right=right):
            return is_number(left) and is_number(right)
        case ast.UnaryOp(operand=operand):
            return is_number(operand)
    return False


def constants(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of each number that a module names."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper() and is_number(value):
                yield node.lineno, name
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name.isupper() and is_number(
                value
            ):
                yield node.lineno, name


def has_unit(name: str) -> bool:
    words = name.strip("_").split("_")
    return "PER" in words or words[-1].endswith("S") or words[-1] in WITHOUT_UNIT


def is_tested_only(path: Path) -> bool:
    return path.parts[0] == "tests"


@pytest.mark.parametrize("place", ROOMS)
def test_the_code_speaks_the_words_of_the_field(place: str) -> None:
    found = []
    for path in (path for path in python_files() if room(path) == place):
        source = (ROOT / path).read_text()
        tree = ast.parse(source)
        texts = [*comments(source), *((line, text) for _, line, text in docstrings(tree)), *names(tree)]
        found += [f"{path}:{line}: {phrase}" for line, text in texts for phrase in dialect(text)]
    assert found == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_the_documents_speak_the_words_of_the_field(page: Path) -> None:
    text = (ROOT / page).read_text()
    paragraphs = re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n")
    assert [phrase for paragraph in paragraphs for phrase in dialect(paragraph)] == []


@pytest.mark.parametrize("place", ROOMS)
def test_a_constant_ends_in_its_unit(place: str) -> None:
    found = []
    for path in (path for path in python_files() if room(path) == place):
        for line, name in constants(ast.parse((ROOT / path).read_text())):
            if name.strip("_") in VAGUE or not (is_tested_only(path) or has_unit(name)):
                found.append(f"{path}:{line}: {name}")
    assert found == []


@pytest.mark.parametrize("place", [place for place in ROOMS if not place.startswith("tests")])
def test_a_docstring_says_something(place: str) -> None:
    found = []
    for path in (path for path in python_files() if room(path) == place):
        for owner, line, text in docstrings(ast.parse((ROOT / path).read_text())):
            is_reference = "`" in text or "RFC" in text or text.startswith("Raises ")
            if not isinstance(owner, ast.ClassDef) and len(text.split()) < MIN_WORDS and not is_reference:
                found.append(f"{path}:{line}: {text.strip()}")
    assert found == []


def test_the_dialect_is_noticed() -> None:
    assert dialect("What is kept of\n    a mailbox is let go of") != []
    assert dialect("Nobody is told") != []
    assert dialect("Evicts the least recently used entry, because the cache is full") == []


def test_a_constant_without_a_unit_is_noticed() -> None:
    assert [name for _, name in constants(ast.parse("GRACE = 3.0\nCLOSE_SECONDS = 2 * 60\nON = True"))] == [
        "GRACE",
        "CLOSE_SECONDS",
    ]
    assert has_unit("CLOSE_SECONDS")
    assert has_unit("COMMANDS_PER_TURN")
    assert not has_unit("GRACE")
