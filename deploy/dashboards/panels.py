"""The kinds of panel that the dashboards use, and links from them to traces."""

import json
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink,
    DashboardSpecialValueMapOptions,
    DataSourceRef,
    Panel,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
    ValueMappingResult,
)

PROMETHEUS = DataSourceRef("prometheus", "prometheus")  # the uids are those of grafana/datasources/
HEIGHT_UNITS = 8  # of Grafana's grid
Link = Builder[DashboardLink]


class Query(NamedTuple):
    """A query of Prometheus; with exemplars, the traces behind a histogram's observations."""

    expr: str
    legend: str
    exemplars: bool = False


class Limits(NamedTuple):
    """The thresholds from which a value is shown as a warning and as critical."""

    warning: float
    critical: float


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    limits: Limits | None = None,
    stacked: bool = False,
    links: Sequence[Link] = (),
    empty: str = "–",
) -> Builder[Panel]:
    """Lines over time; `empty` is the text for a missing value, such as a duration without commands."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(HEIGHT_UNITS)
        .span(width)
        .axis_soft_min(0)
        .fill_opacity(20 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .legend(options.VizLegendOptions().show_legend(True).calcs(["lastNotNull", "max"]).display_mode(_TABLE))
        .tooltip(options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
        .mappings([_map_empty(empty)])
        .data_links(list(links))
        .targets(_targets(queries))
    )
    if stacked:
        panel.stacking(options.StackingConfig().mode(common.StackingMode.NORMAL))
    if limits:
        panel.thresholds(_thresholds(limits))
        panel.thresholds_style(options.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.LINE))
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 4,
    limits: Limits | None = None,
    links: Sequence[Link] = (),
    empty: str = "–",
) -> Builder[Panel]:
    """The latest values in large digits."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(HEIGHT_UNITS // 2)
        .span(width)
        .no_value(empty)
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
        .mappings([_map_empty(empty)])
        .data_links(list(links))
        .targets(_targets(queries))
    )
    return panel.thresholds(_thresholds(limits)) if limits else panel


def heat(
    title: str, description: str, unit: str, buckets: str, *, width: int = 8, links: Sequence[Link] = ()
) -> Builder[Panel]:
    """A histogram over time, with one column per step; its exemplars are dots that link to traces."""
    target = _target(Query(buckets, "{{le}}", exemplars=True), "A").format(prometheus_models.PromQueryFormat.HEATMAP)
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit("suffix:/s")
        .height(HEIGHT_UNITS)
        .span(width)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .data_links(list(links))
        .targets([target])
    )


def traces(title: str, service: str, operation: str = "", tags: str = "") -> Link:
    """A link to a search in Jaeger, for the time range of the dashboard; Grafana replaces `${…}`."""
    search = {
        "refId": "A",
        "queryType": "search",
        "service": service,
        "operation": operation,
        "tags": tags,
        "limit": 50,
    }
    pane = {"datasource": "jaeger", "queries": [search], "range": {"from": "${__from}", "to": "${__to}"}}
    panes = quote(json.dumps({"traces": pane}, separators=(",", ":")), safe="${}:_.,")
    return dashboards.DashboardLink(title).url(f"/explore?schemaVersion=1&panes={panes}").target_blank(True)


_TABLE = common.LegendDisplayMode.TABLE


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(PROMETHEUS)
        .ref_id(ref_id)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.exemplars)
        .editor_mode(prometheus_models.QueryEditorMode.CODE)
        .range()
    )


def _targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    return [_target(query, chr(ord("A") + index)) for index, query in enumerate(queries)]


def _map_empty(text: str) -> SpecialValueMap:
    none = DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, ValueMappingResult(text=text))
    return SpecialValueMap(none)


def _thresholds(limits: Limits) -> Builder[ThresholdsConfig]:
    steps = [Threshold(None, "green"), Threshold(limits.warning, "orange"), Threshold(limits.critical, "red")]
    return dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
