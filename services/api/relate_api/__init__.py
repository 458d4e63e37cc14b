"""The REST API: one package per resource, each with endpoints and schemas; errors are problem+json (RFC 9457)."""
