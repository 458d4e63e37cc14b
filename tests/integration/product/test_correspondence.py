"""A correspondence through all services of the embedded edition: each step is told, and its trace is exported."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS
from tests.integration.product.test_relay import DATABASES
from tests.support.certificates import Authority
from tests.support.correspondence import Choosy, Edition, check_steps, correspond
from tests.support.product import HOST, Product
from tests.support.telemetry.registry import CheckedReceiver
from tests.support.webhook_receiver import receiving

pytestmark = pytest.mark.xdist_group("product-correspondence")


@pytest.mark.parametrize("database", DATABASES)
async def test_each_step_of_a_correspondence_has_a_trace(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    url = request.getfixturevalue("postgres_queue") if database == "postgres" else None
    authority = Authority()
    authority.write_root(tmp_path / "authority.pem")
    async with Choosy() as sink, receiving(tls=authority.serving(HOST)) as hooks:
        with CheckedReceiver() as receiver:
            settings = {
                "Api__WebhookPrivateDestinations": "allow",
                "Otel__Endpoint": receiver.endpoint,
                "Relay__Enabled": "true",
                "Relay__KeyDirectory": str(tmp_path / "keys"),
                "Relay__Smarthost": f"{HOST}:{sink.port}",
                "Relay__SmarthostTls": "may",
                "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
            }
            with Product(tmp_path, url, **settings, **SHORT_EXPORT_INTERVALS) as product:
                await asyncio.to_thread(product.start)
                told = await correspond(edition(product), sink, hooks)
            check_steps(
                told, lambda trace_id, name: [each for each in receiver.spans(name) if each.trace_id == trace_id]
            )


def edition(product: Product) -> Edition:
    """The product, with a certificate of its own for `localhost`."""
    return Edition(
        api_url=f"https://localhost:{product.ports['Api__SecurePort']}",
        imap_port=product.ports["Imap__SecurePort"],
        tls=product.tls(),
        mx=product.mx,
        add_user=product.add_user,
        relate_json=product.relate_json,
    )
