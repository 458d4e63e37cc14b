"""A client of Loki's query API."""

import httpx

TIMEOUT_SECONDS = 10.0


class Loki(httpx.Client):
    """A client of the query API at a URL."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, timeout=TIMEOUT_SECONDS)

    def lines(self, query: str, since: float) -> list[dict[str, str]]:
        """The lines of a query: their labels and structured metadata. `since` is a time of `time.time()`."""
        try:
            response = self.get("/loki/api/v1/query_range", params={"query": query, "start": str(int(since * 1e9))})
        except httpx.TransportError as error:
            raise OSError(f"Loki: {error}") from None  # starting: `eventually` retries
        assert response.is_success, response.text
        return [stream["stream"] for stream in response.json()["data"]["result"]]
