"""The common frame of all dashboards: rows, variables, alerts, and links to the other dashboards."""

import json
from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.dashboards.panels import PROMETHEUS

TAG = "relate-mail"  # of every dashboard: the menu lists the dashboards with it

Rows = Mapping[str, Sequence[Builder[Panel]]]


def board(
    name: str, title: str, description: str, rows: Rows, variables: Sequence[Builder[VariableModel]] = ()
) -> Dashboard:
    """Build a dashboard; its uid, the last part of its URL, is `relate-<name>`."""
    others = builders.DashboardLink("Relate Mail").type(DashboardLinkType.DASHBOARDS).tags([TAG]).icon("dashboard")
    built = (
        builders.Dashboard(title)
        .uid(f"relate-{name}")
        .description(description)
        .tags([TAG])
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(others.as_dropdown(True).keep_time(True))
        .annotation(Alerts())
    )
    for variable in variables:
        built.with_variable(variable)
    for heading, panels in rows.items():
        built.with_row(builders.Row(heading))
        for panel in panels:
            built.with_panel(panel)
    return _number_panels(built.build())


def label_variable(name: str, label: str, description: str, metric: str) -> Builder[VariableModel]:
    """A variable that selects values of a metric's label; all of them by default."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .query(f"label_values({metric}, {name})")
        .current(VariableOption(text="All", value="$__all"))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def render(dashboard: Dashboard) -> str:
    """Return the JSON that Grafana reads."""
    return json.dumps(dashboard, cls=JSONEncoder, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


class Alerts(Builder[AnnotationQuery]):
    """Marks firing alerts on every graph."""

    def build(self) -> AnnotationQuery:
        """Build the annotation, with fields that the SDK's builder lacks."""
        return _TitledAnnotation(
            "Alerts", PROMETHEUS, icon_color="red", expr='ALERTS{alertstate="firing"}', built_in=None, hide=None
        )


class _TitledAnnotation(AnnotationQuery):
    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"titleFormat": "{{alertname}}", "tagKeys": "severity,protocol,service,service_name"}


def _number_panels(dashboard: Dashboard) -> Dashboard:
    for number, panel in enumerate(dashboard.panels or [], 1):
        panel.id_val = number
    return dashboard
