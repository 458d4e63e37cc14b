"""The stack as it is brought up: what runs, and as whom."""

import httpx
import pytest

from tests.containers import prerequisites
from tests.containers.accounts import new_account
from tests.containers.prerequisites import config
from tests.containers.project import Project, docker

OURS = ("smtp", "pop3", "imap", "api")


def test_compose_file_is_clean() -> None:
    prerequisites.require(prerequisites.no_engine())
    assert config()["name"] == "relate-mail"


def test_everything_runs_and_is_healthy(stack: Project) -> None:
    for service in stack.services - {"first-start", "migrate"}:
        state = stack.inspect(service)["State"]
        assert state["Running"]
        assert state.get("Health", {"Status": "healthy"})["Status"] == "healthy"


@pytest.mark.parametrize("service", OURS)
def test_our_services_are_nobody_and_write_nowhere(stack: Project, service: str) -> None:
    known = stack.inspect(service)
    assert known["Config"]["User"] == "10001:10001"
    assert known["HostConfig"]["ReadonlyRootfs"]
    assert known["HostConfig"]["CapDrop"] == ["ALL"]


def test_nothing_is_published_but_on_this_machine(stack: Project) -> None:
    published = [
        binding["HostIp"]
        for service in stack.services
        for bindings in stack.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert set(published) == {"127.0.0.1"}


def test_api_says_that_it_is_ready(stack: Project) -> None:
    assert httpx.get(f"http://127.0.0.1:{stack.ports['api']}/healthz/ready").is_success


def test_the_api_takes_a_key_in_the_clear_while_it_is_published_on_this_machine_alone(stack: Project) -> None:
    key = new_account(stack, "clear").key
    url = f"http://127.0.0.1:{stack.ports['api']}/api/external/emails"
    assert httpx.get(url, headers={"Authorization": f"Bearer {key}"}).is_success
    with stack.api(key) as client:
        assert client.get("/emails").is_success


def test_published_elsewhere_it_takes_none(stack: Project) -> None:
    chosen = ("exec", "--no-TTY", "api", "cat", "/run/relate/api-plaintext-authentication")
    try:
        for address, mode in (("0.0.0.0", "loopback"), ("127.0.0.1", "always")):
            stack.compose("run", "--rm", "--no-TTY", "first-start", BIND_ADDRESS=address)
            assert stack.compose(*chosen) == mode
    finally:
        stack.compose("run", "--rm", "--no-TTY", "first-start")


def test_name_is_nobody_elses(stack: Project) -> None:
    listed = docker("ps", "--all", '--format={{.Label "com.docker.compose.project"}}', f"--filter=name={stack.name}")
    assert set(listed.split()) == {stack.name}
