"""What of the documentation's site can break silently; none of it needs mkdocs."""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import spacetime_tps
from documentation.front import FIGURES, FRONT, front_pages
from documentation.links import linked, moved, targets
from documentation.pages import AS_THEY_ARE, pages
from documentation.settings_page import settings_page
from spacetime_tps import Settings

ROOT = Path(__file__).parent.parent
FILES = {"rounds.json", "windows.npz", "unbiased.json", "denoiser.pt"}
"""That begin as groups of settings do"""
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return pages()


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]


def in_navigation(entry: Any) -> Iterator[str]:
    for inner in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
        yield from in_navigation(inner)
    if isinstance(entry, str):
        yield entry


def test_every_setting_is_there_with_its_default_and_what_it_is() -> None:
    rows = dict(re.findall(r'^\| <a id="([\w.]+)"></a>`\1` (\|.*\|)$', settings_page(), re.MULTILINE))
    every = dict(leaves(Settings().model_dump(mode="json")))
    assert set(rows) == set(every)
    for key, default in every.items():
        _, shown, allowed, told, _ = (cell.strip() for cell in rows[key].split("|"))
        assert yaml.safe_load(shown.strip("`")) == default, key
        assert told, f"{key} has no description"
        assert allowed, key


def test_every_page_is_in_the_navigation_and_nothing_else_is(site: dict[str, str]) -> None:
    listed = list(in_navigation(CONFIG["nav"]))
    assert len(listed) == len(set(listed))
    assert set(listed) == {place for place in site if not place.startswith("source/")}
    assert {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")} <= set(listed)


def test_every_relative_link_leads_to_a_page_or_a_picture(site: dict[str, str]) -> None:
    pictures = {f.relative_to(ROOT / "docs").as_posix() for f in (ROOT / "docs").rglob("*") if f.suffix in AS_THEY_ARE}
    seen = 0
    for place, text in site.items():
        if place.startswith("source/"):
            continue
        for target in targets(text):
            seen += 1
            assert posixpath.normpath(posixpath.join(posixpath.dirname(place), target)) in set(site) | pictures, f"{place}: {target}"
    assert seen > 200


def test_each_section_of_readme_is_on_one_page(site: dict[str, str]) -> None:
    readme = (ROOT / "README.md").read_text()
    told = front_pages(readme)
    titles = [line for page in told.values() for line in page.splitlines() if line.startswith("## ")]
    assert sorted(titles) == sorted(line for line in readme.splitlines() if line.startswith("## "))
    assert len("".join(told.values())) >= len(readme)
    with pytest.raises(ValueError, match="README has no section"):
        front_pages("# a\n\n## b\n")
    assert {FRONT, FIGURES} <= set(site)


def test_the_command_line_and_the_public_names_are_all_there(site: dict[str, str]) -> None:
    command_line, python = site["reference/command_line.md"], site["reference/python.md"]
    source = (ROOT / "spacetime_tps/cli.py").read_text()
    commands = re.findall(r"^@app\.command\(\)\ndef (\w+)", source, re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        assert f"## `spacetime-tps {command}`" in command_line
    for option in ("--unbiased", "--set", "--avoid", "--one-file", "--methods"):
        assert f"`{option}" in command_line
    for name in spacetime_tps.__all__:
        assert f"heading: spacetime_tps.{name}\n" in python


def test_the_notebook_is_there_cell_by_cell(site: dict[str, str]) -> None:
    cells = json.loads((ROOT / "docs/tutorial.ipynb").read_text())["cells"]
    for cell in cells:
        assert "".join(cell["source"]) in site["tutorial.md"]
    assert site["tutorial.md"].count("```python") == sum(cell["cell_type"] == "code" for cell in cells)


def test_what_a_run_is_quoted_with_is_what_the_code_says() -> None:
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text() for file in (ROOT / "spacetime_tps").rglob("*.py")))
    for name in ("symptoms", "refused_trajectory", "restart"):
        page = (ROOT / f"docs/how_to/{name}.md").read_text().replace("```yaml", "")
        quotes = re.findall(r'(?<![=\w])"([^"\n]{12,})"', re.sub(r"`[^`]*`", "``", page))
        assert quotes, name
        for quote in quotes:
            assert quote in code, f"{name}: {quote}"


def test_settings_that_pages_name_are_settings(site: dict[str, str]) -> None:
    every, groups = dict(leaves(Settings().model_dump())), set(Settings().model_dump())
    for place in site:
        if not place.startswith("how_to/"):
            continue
        text = site[place]
        named = re.findall(r"--set ([\w.]+)=", text) + [
            n for n in re.findall(r"`(\w+\.\w+)`", text) if n.split(".")[0] in groups and n not in FILES
        ]
        for name in named:
            assert name in every, f"{place}: {name}"


def test_links_move_with_their_pages_and_settings_become_links() -> None:
    text = "[a](../spacetime_tps/units.py) [b](work.md#x) ![c](map.png) [d](https://e.org)"
    assert moved(text, "how_to/x.md", "docs/x.md") == (
        "[a](../source/spacetime_tps/units.py.md) [b](../work.md#x) ![c](../map.png) [d](https://e.org)"
    )
    assert moved("[t](docs/tutorial.ipynb)", "index.md", "README.md") == "[t](tutorial.md)"
    assert linked("`a.b` [`a.b`](c)\n```\n`a.b`\n```\n    `a.b`\n# `a.b`", {"a.b": "s#a.b"}) == (
        "[`a.b`](s#a.b) [`a.b`](c)\n```\n`a.b`\n```\n    `a.b`\n# `a.b`"
    )


def test_nothing_is_fetched_by_what_the_site_is_made_with() -> None:
    assert CONFIG["theme"]["font"] is False
    assert not [word for word in leaves({k: str(v) for k, v in CONFIG.items()}) if "://" in word[1]]
