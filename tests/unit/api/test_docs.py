"""The page that shows the OpenAPI document: public, and made of what this server sends only."""

import re
from importlib import resources

import httpx

from relate_api.docs.endpoints import PATHS


async def test_the_page_refers_to_assets_of_this_server_only(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    referred = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert set(referred) == {"data:,", "/docs/docs.css", "/docs/redoc.standalone.js", "/openapi.json"}
    for path in {*referred} - {"data:,"}:
        assert (await anonymous.get(path)).status_code == 200


async def test_the_policy_allows_no_script_of_a_page_and_no_other_host(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert "http" not in page.headers["content-security-policy"]
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == [""]
    assert " on" not in page.text.replace(" only", "")


async def test_assets_have_their_types_and_are_cached(anonymous: httpx.AsyncClient) -> None:
    for path, kind in (("/docs/redoc.standalone.js", "text/javascript"), ("/docs/docs.css", "text/css")):
        response = await anonymous.get(path)
        assert response.headers["content-type"].startswith(kind)
        assert response.headers["cache-control"] == "public, max-age=3600"
        assert response.headers["x-content-type-options"] == "nosniff"
    assert (await anonymous.get("/docs")).headers["cache-control"] == "no-store"
    for path in ("/docs/redoc.LICENSE.txt", "/docs/endpoints.py", "/docs/../config.py", "/docs/%2e%2e/config.py"):
        assert path not in PATHS
        assert (await anonymous.get(path)).status_code == 404


def test_the_renderer_is_shipped_with_its_licence() -> None:
    folder = resources.files("relate_api.docs")
    assert "Permission is hereby granted" in (folder / "redoc.LICENSE.txt").read_text(encoding="utf-8")
