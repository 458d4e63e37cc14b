"""A client of Prometheus' query API."""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import httpx

from tests.containers.waiting import eventually

TIMEOUT_SECONDS = 10.0


class Prometheus:
    """A client of the query API at a URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)

    def vector(self, query: str) -> dict[frozenset[tuple[str, str]], float]:
        """The present values of a query, by labels."""
        found = self._get("/api/v1/query", {"query": query})["result"]
        return {frozenset(each["metric"].items()): float(each["value"][1]) for each in found}

    def by(self, label: str, query: str) -> dict[str, float]:
        """The present values of a query, by one label."""
        return {dict(labels).get(label, ""): value for labels, value in self.vector(query).items()}

    def value(self, query: str) -> float:
        """The present sum of all series of a query; 0 without series."""
        return sum(self.vector(query).values())

    def wait_for_export(self, metrics: Iterable[str]) -> None:
        """Wait until each of these metrics was exported again, with the present counts."""
        start = time.time()
        for metric in metrics:
            eventually(partial(self._is_newer, metric, start))

    def alerts(self) -> list[dict[str, str]]:
        """The alerts that are pending or firing: their labels, and `state`."""
        return [{**each["labels"], "state": each["state"]} for each in self._get("/api/v1/alerts", {})["alerts"]]

    def alertmanagers(self) -> list[str]:
        """The URLs of the Alertmanagers that Prometheus has found."""
        return [each["url"] for each in self._get("/api/v1/alertmanagers", {})["activeAlertmanagers"]]

    def names(self) -> set[str]:
        """The names of all series."""
        return set(self._get("/api/v1/label/__name__/values", {}))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _is_newer(self, metric: str, moment: float) -> bool:
        return self.value(f"max(timestamp({metric}))") > moment

    def _get(self, path: str, params: dict[str, str]) -> Any:
        try:
            response = self._client.get(path, params=params)
        except httpx.TransportError as error:
            raise OSError(f"Prometheus: {error}") from None  # down, or starting: `eventually` retries
        assert response.is_success, response.text
        return response.json()["data"]
