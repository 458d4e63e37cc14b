"""Grafana's dashboards, as code: `python -m deploy.dashboards` writes them to grafana/dashboards/.

What a panel asks for is written out in PromQL, so that it can be copied from here into Prometheus and back.
"""
