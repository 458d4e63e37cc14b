"""Grafana's dashboards as code: `python -m deploy.dashboards` writes them to grafana/dashboards/.

Queries are plain PromQL, so that they can be copied from here into Prometheus and back.
"""
