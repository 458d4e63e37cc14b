"""All of the page, on the embedded edition."""

from pathlib import Path

from tests.integration.page.conftest import Visit
from tests.integration.page.tour import Tour
from tests.integration.product.accounts import Account
from tests.support.product import Product


async def test_a_person_uses_all_parts_of_the_page(
    product: Product, alice: Account, visit: Visit, tmp_path: Path
) -> None:
    key = product.create_key(alice.address, ["app", "admin"], "browser")
    await Tour(visit, alice.address, key, tmp_path).run()
