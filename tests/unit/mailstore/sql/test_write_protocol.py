"""The write protocol cannot be bypassed: only `Committer` begins transactions (docs/architecture/mailstore.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[4]
SQL = "shared/mailstore/relate_mailstore/sql"


def attributes(*directories: str) -> Iterator[tuple[str, ast.Attribute]]:
    """Every expression `<value>.<attribute>` of the source code, with the path of its file."""
    for directory in directories:
        for path in sorted((ROOT / directory).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    yield path.relative_to(ROOT).as_posix(), node


def is_database(node: ast.expr) -> bool:
    """Whether an expression is a `Database` by its name, as in `self._database`."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.strip("_") == "database"


def test_only_the_committer_begins_transactions() -> None:
    users = {path for path, node in attributes("services", "shared") if node.attr == "transact"}
    assert users == {
        f"{SQL}/write/committer.py",
        f"{SQL}/driver/disk_reserve.py",  # `Removals`, which the committer uses
    }


def test_only_the_optimistic_flag_statement_writes_with_autocommit() -> None:
    users = {path for path, node in attributes(SQL) if node.attr == "execute" and is_database(node.value)}
    assert users == {f"{SQL}/write/flags_optimistic.py"}  # called by `Committer.run_statement`
