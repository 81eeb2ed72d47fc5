"""CITATION.cff is of this version of the package, under its licence."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def test_what_is_to_be_cited_is_this_version_of_the_package() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert str(cited["version"]) == package["version"]
    assert cited["license"] == package["license"]
    assert cited["title"].startswith(package["name"])
    assert cited["title"].lower().endswith(package["description"].lower())
    assert cited["keywords"] == package["keywords"]
    assert [author["name"] for author in cited["authors"]] == [line.split(" ", 3)[3] for line in copyright_lines()]


def copyright_lines() -> list[str]:
    return [line for line in (ROOT / "LICENSE").read_text().splitlines() if line.startswith("Copyright (c)")]
