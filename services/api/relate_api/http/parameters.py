"""A check of the query that no schema can express."""

from http import HTTPStatus

from fastapi import HTTPException, Request


async def require_distinct_parameters(request: Request) -> None:
    """Refuse a query that has a parameter twice, of which one value would be ignored. Raises HTTPException with 422."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) < len(names):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "a parameter is given more than once")
