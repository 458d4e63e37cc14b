"""What Prometheus knows, by its query API."""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import httpx

from tests.containers.waiting import eventually

TIMEOUT = 10.0


class Prometheus:
    """The query API at a URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT)

    def vector(self, query: str) -> dict[frozenset[tuple[str, str]], float]:
        """What a query gives now: values by labels."""
        found = self._get("/api/v1/query", {"query": query})["result"]
        return {frozenset(each["metric"].items()): float(each["value"][1]) for each in found}

    def by(self, label: str, query: str) -> dict[str, float]:
        """What a query gives now: values by one label."""
        return {dict(labels).get(label, ""): value for labels, value in self.vector(query).items()}

    def value(self, query: str) -> float:
        """What a query gives now, all its series together; 0 when there are none."""
        return sum(self.vector(query).values())

    def wait_for_export(self, metrics: Iterable[str]) -> None:
        """Return when each of these was exported anew: what was counted until now is in it."""
        began = time.time()
        for metric in metrics:
            eventually(partial(self._is_newer, metric, began))

    def names(self) -> set[str]:
        """The names of all series."""
        return set(self._get("/api/v1/label/__name__/values", {}))

    def close(self) -> None:
        """Be done with it."""
        self._client.close()

    def _is_newer(self, metric: str, moment: float) -> bool:
        return self.value(f"max(timestamp({metric}))") > moment

    def _get(self, path: str, asked: dict[str, str]) -> Any:
        try:
            answer = self._client.get(path, params=asked)
        except httpx.TransportError as error:
            raise OSError(f"Prometheus: {error}") from None  # gone, or just coming: to be asked again
        assert answer.is_success, answer.text
        return answer.json()["data"]
