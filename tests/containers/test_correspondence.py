"""A correspondence through all services of the container stack: each step is told, and its trace is in Jaeger."""

import asyncio
from json import loads
from pathlib import Path

from tests.containers.clients import HOST
from tests.containers.jaeger import Jaeger, Span
from tests.containers.project import Project
from tests.containers.relaying import gateway, relaying
from tests.containers.waiting import eventually
from tests.support.certificates import Authority
from tests.support.correspondence import Choosy, Edition, check_steps, correspond
from tests.support.webhook_receiver import receiving


async def test_each_step_of_a_correspondence_has_a_trace(stack: Project, jaeger: Jaeger, tmp_path: Path) -> None:
    authority, address = Authority(), gateway(stack, "mail")
    authority.write_root(tmp_path / "authority.pem")
    (tmp_path / "authority.pem").chmod(0o644)  # the container has another user
    async with (
        Choosy(host=gateway(stack)) as sink,
        receiving(host=address, tls=authority.serving(address)) as hooks,
    ):
        settings = {"RELAY_SMARTHOST": f"{sink.host}:{sink.port}", "AUTHORITY_FILE": str(tmp_path / "authority.pem")}
        with relaying(stack, "tests/containers/compose.webhooks.yaml", services=["smtp", "api"], **settings):
            told = await correspond(edition(stack), sink, hooks)

    def find_spans(trace_id: str, name: str) -> list[Span]:
        return eventually(lambda: jaeger.trace(trace_id).named(name))

    await asyncio.to_thread(check_steps, told, find_spans)


def edition(stack: Project) -> Edition:
    """The stack, with its own certificate."""
    return Edition(
        api_url=f"https://{HOST}:{stack.ports['api_secure']}",
        imap_port=stack.ports["imap_secure"],
        tls=stack.tls(),
        mx=stack.mx,
        add_user=stack.add_user,
        relate_json=lambda *arguments: loads(stack.relate(*arguments, "--json")),
    )
