"""Writes the dashboards to grafana/dashboards/, where Grafana's provisioning finds them."""

from pathlib import Path

from deploy.dashboards.catalogue import dashboards

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"

if __name__ == "__main__":
    for name, text in dashboards().items():
        (FOLDER / f"{name}.json").write_text(text)
