"""Grafana's provisioning: data sources and dashboards."""

from collections.abc import Iterator

import httpx
import pytest

from tests.containers.project import Project
from tests.containers.waiting import eventually

TIMEOUT_SECONDS = 20.0


@pytest.fixture
def grafana(stack: Project) -> Iterator[httpx.Client]:
    """A client of Grafana's API, without a login."""
    if stack.grafana_url is None:
        pytest.skip("the image of Grafana is missing; try: docker compose pull grafana")
    with httpx.Client(base_url=stack.grafana_url, timeout=TIMEOUT_SECONDS) as client:
        yield client


def test_both_data_sources_are_healthy(grafana: httpx.Client) -> None:
    kinds = {each["type"]: each["uid"] for each in grafana.get("/api/datasources").json()}
    assert kinds.keys() >= {"prometheus", "jaeger"}
    for uid in kinds.values():
        eventually(lambda uid=uid: grafana.get(f"/api/datasources/uid/{uid}/health").is_success)  # type: ignore[misc]


def test_dashboards_are_provisioned(grafana: httpx.Client) -> None:
    found = eventually(lambda: grafana.get("/api/search", params={"type": "dash-db"}).json())
    for each in found:
        assert grafana.get(f"/api/dashboards/uid/{each['uid']}").json()["dashboard"]["panels"]
