"""The dashboard of the mail store and its database, by operation and by kind of statement."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board, label_variable
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import CALLS, ERROR, POOL, SERVICE, SPANS, or_zero, quantile, rate, ratio, selector

STORE = (SERVICE, 'span_name=~"mailstore[.][a-z_]+"')  # not their parts, nor background work, with two dots
STATEMENTS = (SERVICE, 'span_kind="SPAN_KIND_CLIENT"')  # the services make no other client spans
OPERATION = traces("These in Jaeger", "${__field.labels.service_name}", "${__field.labels.span_name}")
FAILURES = traces("Failures in Jaeger", "${__field.labels.service_name}", tags="error=true")
BY_OPERATION = "service_name, span_name"
BY_CACHE = "service_name, relate_cache_name"
PRESENT = f"sum({selector(POOL, SERVICE)})"
USED = 'state="used"'


def storage() -> Dashboard:
    """Build the dashboard."""
    return board(
        "storage",
        "Storage and database",
        "Operations of the mail store, as the services see them, and their SQL statements.",
        {"Now": _now(), "Mail store": _store(), "Caches": _caches(), "Database": _database()},
        [label_variable("service_name", "Service", "The service that uses the store", POOL)],
    )


def _now() -> list[Builder[Panel]]:
    operations, statements = (f"({or_zero(rate(CALLS, *spans), PRESENT)})" for spans in (STORE, STATEMENTS))
    failed = f"({or_zero(rate(CALLS, *STORE, ERROR), PRESENT)})"
    return [
        number("Operations", "Operations of the mail store per second.", "ops", Query(operations, "all")),
        number(
            "Failed operations",
            "Share of operations with an internal error. A result such as “no such mailbox” is no failure.",
            "percentunit",
            Query(ratio(failed, operations), "failed"),
            limits=Limits(0.001, 0.01),
        ),
        number("Statements", "SQL statements per second.", "ops", Query(statements, "all")),
        number(
            "Statements per operation",
            "SQL statements per operation of the store, including those of logins.",
            "short",
            Query(ratio(statements, operations), "statements"),
        ),
        number(
            "Time of a delivery",
            "The 95th percentile of the time to store a message, including the commit.",
            "s",
            Query(quantile(0.95, SPANS, 'span_name="mailstore.deliver"'), "95 %"),
            limits=Limits(0.1, 0.5),
            empty="no messages",
        ),
        number(
            "Connections in use",
            "Connections to the database, of the selected services.",
            "short",
            Query(f"sum({selector(POOL, SERVICE, USED)})", "used"),
        ),
    ]


def _store() -> list[Builder[Panel]]:
    return [
        graph(
            "Operations",
            "Per second, by name.",
            "ops",
            Query(rate(CALLS, *STORE, by=BY_OPERATION), "{{service_name}} {{span_name}}"),
            stacked=True,
            links=[OPERATION],
        ),
        graph(
            "Duration of an operation",
            "The 95th percentile. The dots link to traces.",
            "s",
            Query(quantile(0.95, SPANS, *STORE, by=BY_OPERATION), "{{service_name}} {{span_name}}", exemplars=True),
            limits=Limits(0.1, 0.5),
            links=[OPERATION],
            empty="none",
        ),
        graph(
            "Failures",
            "Operations per second with an internal error. The alert StoreTrouble watches their share.",
            "ops",
            Query(
                or_zero(
                    rate(CALLS, *STORE, ERROR, by="service_name"), f"sum by (service_name) ({selector(POOL, SERVICE)})"
                ),
                "{{service_name}}",
            ),
            links=[FAILURES],
        ),
        heat(
            "Durations of deliveries",
            "Time to store a message, including the commit: one column per step. The dots link to traces.",
            "s",
            rate(f"{SPANS}_bucket", 'span_name="mailstore.deliver"', by="le"),
            width=12,
        ),
        heat(
            "Durations of reads",
            "Time to open messages: one column per step. The dots link to traces.",
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
            "Per second, by operation and table. Their texts are in their spans.",
            "ops",
            Query(*by_kind),
            stacked=True,
            links=[OPERATION],
        ),
        graph(
            "Duration of a statement",
            "The 95th percentile, including the network. The dots link to traces.",
            "s",
            Query(quantile(0.95, SPANS, *STATEMENTS, by=BY_OPERATION), by_kind[1], exemplars=True),
            limits=Limits(0.05, 0.5),
            links=[OPERATION],
            empty="none",
        ),
        graph(
            "Connections",
            "Connections of the services' pools, by state.",
            "short",
            Query(f"sum by (service_name, state) ({selector(POOL, SERVICE)})", "{{service_name}} {{state}}"),
        ),
    ]
