"""Which statements an engine runs: what an instrumentation of the engine would see."""

from types import TracebackType

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine


class Statements(list[str]):
    """The texts of the statements that are run within the `with` block."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self._engine = engine.sync_engine

    def __enter__(self) -> "Statements":
        event.listen(self._engine, "before_cursor_execute", self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        event.remove(self._engine, "before_cursor_execute", self._record)

    def _record(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        self.append(statement)
