"""An observer that records the steps of a connection."""

import contextlib
from collections.abc import Iterator

from relate_relay.client.observer import Step
from relate_relay.client.replies import ServerReply


class _Step:
    def __init__(self, name: str) -> None:
        self.name = name
        self.results: list[str] = []

    def replied(self, reply: ServerReply) -> None:
        self.results.append(str(reply))

    def failed(self, reason: str) -> None:
        self.results.append(f"failed: {reason}")


class RecordingObserver:
    """Records each step with its result, empty without one. Steps that are nested fail the test."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.tls_parameters: list[tuple[str, str, bool]] = []
        self.policies: list[tuple[str, str]] = []
        self._open = ""

    @contextlib.contextmanager
    def _begin(self, name: str) -> Iterator[Step]:
        assert not self._open, f"{name} began within {self._open}"
        self._open, step = name, _Step(name)
        try:
            yield step
        finally:
            self._open = ""
            assert len(step.results) <= 1
            self.steps.append((name, "".join(step.results)))

    def connect(self, address: str, port: int) -> contextlib.AbstractContextManager[Step]:
        return self._begin("connect")

    def tls(self) -> contextlib.AbstractContextManager[Step]:
        return self._begin("tls")

    def tls_established(self, version: str, cipher: str, verified: bool) -> None:
        assert self._open == "tls"
        self.tls_parameters.append((version, cipher, verified))

    def policy_applied(self, mode: str, result: str) -> None:
        assert not self._open
        self.policies.append((mode, result))

    def command(self, verb: str) -> contextlib.AbstractContextManager[Step]:
        return self._begin(verb)
