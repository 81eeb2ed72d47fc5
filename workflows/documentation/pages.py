"""All pages of the site, by their places in it."""

import posixpath
from pathlib import Path

from documentation.front import front_pages
from documentation.links import ROOT, linked, listing, moved, site_place, targets
from documentation.notebook import notebook_page
from documentation.reference import COMMAND_LINE, PYTHON, command_line_page, python_page
from documentation.settings_page import PAGE, settings_of, settings_page
from spacetime_tps.settings import Settings

DOCS = ROOT / "docs"
AS_THEY_ARE = (".png", ".js", ".css", ".txt")
OTHERS = ("CHANGELOG.md", "CONTRIBUTING.md")
"""Of the repository's root, pages of the site too"""


def pages() -> dict[str, str]:
    """Markdown by place. Relative links lead within the site."""
    found = {place: moved(text, place, "README.md") for place, text in front_pages((ROOT / "README.md").read_text()).items()}
    found |= {name: moved((ROOT / name).read_text(), name, name) for name in OTHERS}
    for file in sorted(DOCS.rglob("*.md")):
        place = file.relative_to(DOCS).as_posix()
        found[place] = moved(file.read_text(), place, f"docs/{place}")
    found["tutorial.md"] = notebook_page(DOCS / "tutorial.ipynb")
    found = {place: linked(text, _anchors(place)) for place, text in found.items()}
    found |= {PAGE: settings_page(), COMMAND_LINE: command_line_page(), PYTHON: python_page()}
    return found | _listings(found)


def write_pages(folder: Path) -> None:
    """Into a folder that `mkdocs.yml` calls `docs_dir`, pictures included."""
    for place, text in pages().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    for file in DOCS.rglob("*"):
        if file.suffix in AS_THEY_ARE:
            (folder / file.relative_to(DOCS)).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.relative_to(DOCS)).write_bytes(file.read_bytes())


def _anchors(place: str) -> dict[str, str]:
    page = posixpath.relpath(PAGE, posixpath.dirname(place) or ".")
    return {setting.key: f"{page}#{setting.key}" for setting in settings_of(Settings) if "." in setting.key}


def _listings(found: dict[str, str]) -> dict[str, str]:
    """Files of the repository that pages lead to and that are no pages."""
    wanted = {
        posixpath.normpath(posixpath.join(posixpath.dirname(place), target)) for place, text in found.items() for target in targets(text)
    }
    names = sorted(place.removeprefix("source/").removesuffix(".md") for place in wanted if place.startswith("source/"))
    return {site_place(name): listing(name) for name in names}
