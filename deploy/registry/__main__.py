"""Writes the registry to docs/registry/."""

from pathlib import Path

from deploy.registry.weaver import files

FOLDER = Path(__file__).parents[2] / "docs" / "registry"

if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
