"""The running stack: health, users, permissions and published ports."""

import httpx
import pytest

from tests.containers import prerequisites
from tests.containers.accounts import new_account
from tests.containers.prerequisites import config
from tests.containers.project import Project, docker

OURS = ("smtp", "pop3", "imap", "api", "relay")


def test_compose_file_is_valid() -> None:
    prerequisites.require(prerequisites.no_engine())
    assert config()["name"] == "relate-mail"


def test_all_services_run_and_are_healthy(stack: Project) -> None:
    for service in stack.services - {"first-start", "migrate"}:
        state = stack.inspect(service)["State"]
        assert state["Running"]
        assert state.get("Health", {"Status": "healthy"})["Status"] == "healthy"


@pytest.mark.parametrize("service", OURS)
def test_our_services_run_unprivileged_on_a_read_only_file_system(stack: Project, service: str) -> None:
    container = stack.inspect(service)
    assert container["Config"]["User"] == "10001:10001"
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["CapDrop"] == ["ALL"]


def test_ports_are_published_on_loopback_only(stack: Project) -> None:
    published = [
        binding["HostIp"]
        for service in stack.services
        for bindings in stack.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert set(published) == {"127.0.0.1"}


def test_the_api_is_ready(stack: Project) -> None:
    assert httpx.get(f"http://127.0.0.1:{stack.ports['api']}/healthz/ready").is_success


def test_the_api_accepts_plaintext_keys_on_loopback(stack: Project) -> None:
    key = new_account(stack, "clear").key
    url = f"http://127.0.0.1:{stack.ports['api']}/api/external/emails"
    assert httpx.get(url, headers={"Authorization": f"Bearer {key}"}).is_success
    with stack.api(key) as client:
        assert client.get("/emails").is_success


def test_a_public_port_forbids_plaintext_keys(stack: Project) -> None:
    command = ("exec", "--no-TTY", "api", "cat", "/run/relate/api-plaintext-authentication")
    try:
        for address, mode in (("0.0.0.0", "loopback"), ("127.0.0.1", "always")):
            stack.compose("run", "--rm", "--no-TTY", "first-start", BIND_ADDRESS=address)
            assert stack.compose(*command) == mode
    finally:
        stack.compose("run", "--rm", "--no-TTY", "first-start")


def test_the_project_name_is_unique(stack: Project) -> None:
    listed = docker("ps", "--all", '--format={{.Label "com.docker.compose.project"}}', f"--filter=name={stack.name}")
    assert set(listed.split()) == {stack.name}
