"""HTTP: uvicorn on two ports, limits of HTTP/1.1, the client behind proxies, and errors as problem+json.

Nothing here knows a resource.
"""
