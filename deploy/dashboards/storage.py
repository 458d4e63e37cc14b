"""The mail store and the database behind it, by operation and by kind of statement."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board, choice
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import CALLS, ERROR, POOL, SERVICE, SPANS, or_zero, quantile, rate, ratio, selector

STORE = (SERVICE, 'span_name=~"mailstore[.].+"')
STATEMENTS = (SERVICE, 'span_kind="SPAN_KIND_CLIENT"')  # nothing else that we do is a client's
OPERATION = traces("These in Jaeger", "${__field.labels.service_name}", "${__field.labels.span_name}")
IN_TROUBLE = traces("Failures in Jaeger", "${__field.labels.service_name}", tags="error=true")
BY_OPERATION = "service_name, span_name"
BY_CACHE = "service_name, relate_cache_name"
PRESENT = f"sum({selector(POOL, SERVICE)})"
USED = 'state="used"'


def storage() -> Dashboard:
    """Operations of the store, caches, statements, connections."""
    return board(
        "storage",
        "Storage and database",
        "The mail store's operations, as the services see them, and the SQL statements that they are made of.",
        {"Now": _now(), "Mail store": _store(), "Caches": _caches(), "Database": _database()},
        [choice("service_name", "Service", "Who asks the store", POOL)],
    )


def _now() -> list[Builder[Panel]]:
    operations, statements = (f"({or_zero(rate(CALLS, *spans), PRESENT)})" for spans in (STORE, STATEMENTS))
    failed = f"({or_zero(rate(CALLS, *STORE, ERROR), PRESENT)})"
    return [
        number("Operations", "Operations of the mail store a second.", "ops", Query(operations, "all")),
        number(
            "Operations that fail",
            "Of all: by trouble of ours, which is the database's. An answer such as “no such mailbox” is no failure.",
            "percentunit",
            Query(ratio(failed, operations), "failed"),
            limits=Limits(0.001, 0.01),
        ),
        number("Statements", "SQL statements a second.", "ops", Query(statements, "all")),
        number(
            "Statements an operation",
            "How many statements an operation of the store takes, logins' included.",
            "short",
            Query(ratio(statements, operations), "statements"),
        ),
        number(
            "Delivered within",
            "95 % of messages were in the store within this time, commit included.",
            "s",
            Query(quantile(0.95, SPANS, 'span_name="mailstore.deliver"'), "95 %"),
            limits=Limits(0.1, 0.5),
            without="no messages",
        ),
        number(
            "Connections in use",
            "To the database, of all services that were chosen.",
            "short",
            Query(f"sum({selector(POOL, SERVICE, USED)})", "used"),
        ),
    ]


def _store() -> list[Builder[Panel]]:
    return [
        graph(
            "Operations",
            "A second, by name.",
            "ops",
            Query(rate(CALLS, *STORE, by=BY_OPERATION), "{{service_name}} {{span_name}}"),
            stacked=True,
            links=[OPERATION],
        ),
        graph(
            "Time of an operation",
            "95 % of them are below. The dots lead to traces.",
            "s",
            Query(quantile(0.95, SPANS, *STORE, by=BY_OPERATION), "{{service_name}} {{span_name}}", exemplars=True),
            limits=Limits(0.1, 0.5),
            links=[OPERATION],
            without="none",
        ),
        graph(
            "Failures",
            "Operations a second that failed by trouble of ours: what the alert StoreTrouble looks at.",
            "ops",
            Query(
                or_zero(
                    rate(CALLS, *STORE, ERROR, by="service_name"), f"sum by (service_name) ({selector(POOL, SERVICE)})"
                ),
                "{{service_name}}",
            ),
            links=[IN_TROUBLE],
        ),
        heat(
            "Times of deliveries",
            "How long the store took for a message, commit included: a column a step. The dots lead to traces.",
            "s",
            rate(f"{SPANS}_bucket", 'span_name="mailstore.deliver"', by="le"),
            width=12,
        ),
        heat(
            "Times of reads",
            "How long the store took to open messages: a column a step. The dots lead to traces.",
            "s",
            rate(f"{SPANS}_bucket", SERVICE, 'span_name=~"mailstore.open(_all)?"', by="le"),
            width=12,
        ),
    ]


def _caches() -> list[Builder[Panel]]:
    lookups = rate("relate_cache_lookups_total", SERVICE, by=BY_CACHE)
    hits = rate("relate_cache_lookups_total", SERVICE, 'relate_cache_result="hit"', by=BY_CACHE)
    return [
        graph(
            "Memory of caches",
            "Estimated, by cache. The shares of Limits__CacheMemoryBytes are in docs/architecture/mailstore.md.",
            "bytes",
            Query(
                f"sum by ({BY_CACHE}) ({selector('relate_cache_usage_bytes', SERVICE)})",
                "{{service_name}} {{relate_cache_name}}",
            ),
            width=12,
            stacked=True,
        ),
        graph(
            "Memory of caches, of their limit",
            "At 100 % a cache evicts its least recently used entries.",
            "percentunit",
            Query(
                f"max by ({BY_CACHE}) ({selector('relate_cache_usage_bytes', SERVICE)}"
                f" / {selector('relate_cache_limit_bytes', SERVICE)})",
                "{{service_name}} {{relate_cache_name}}",
            ),
            width=12,
        ),
        graph(
            "Cache hits",
            "Lookups that were answered from the cache, of all. Caches without lookups are 0.",
            "percentunit",
            Query(ratio(hits, lookups), "{{service_name}} {{relate_cache_name}}"),
            width=12,
        ),
        graph(
            "Cache misses",
            "Lookups per second that were not answered from the cache.",
            "ops",
            Query(
                rate("relate_cache_lookups_total", SERVICE, 'relate_cache_result="miss"', by=BY_CACHE),
                "{{service_name}} {{relate_cache_name}}",
            ),
            width=12,
        ),
    ]


def _database() -> list[Builder[Panel]]:
    by_kind = (rate(CALLS, *STATEMENTS, by=BY_OPERATION), "{{service_name}} {{span_name}}")
    return [
        graph(
            "Statements",
            "A second, by kind. Their text is in their spans.",
            "ops",
            Query(*by_kind),
            stacked=True,
            links=[OPERATION],
        ),
        graph(
            "Time of a statement",
            "95 % of them are below: the database's time and the way there. The dots lead to traces.",
            "s",
            Query(quantile(0.95, SPANS, *STATEMENTS, by=BY_OPERATION), by_kind[1], exemplars=True),
            limits=Limits(0.05, 0.5),
            links=[OPERATION],
            without="none",
        ),
        graph(
            "Connections",
            "Of the services' pools, by what they do.",
            "short",
            Query(f"sum by (service_name, state) ({selector(POOL, SERVICE)})", "{{service_name}} {{state}}"),
        ),
    ]
