"""Links between pages: from README's and the code's places to those of the site, and from names of settings to what they are."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)((?:#[^)]*)?\))")
CODE_SPAN = re.compile(r"(?<!\[)`([\w.]+)`(?!\])")


def targets(text: str) -> list[str]:
    """What Markdown links to within the site or the repository, without anchors."""
    return [m[2] for m in LINK.finditer(text) if not m[2].startswith(("http:", "https:", "mailto:"))]


def moved(text: str, place: str, home: str) -> str:
    """A page that stands at `home` in the repository, with its relative links as they have to be at `place` in the site.

    Files of `docs/` stand in the site as they do there, other text files below `source/` as listings; the notebook is a page.
    """

    def there(match: re.Match[str]) -> str:
        if match[2].startswith(("http:", "https:", "mailto:")):
            return match[0]
        at = site_place(posixpath.normpath(posixpath.join(posixpath.dirname(home), match[2])))
        return f"{match[1]}{posixpath.relpath(at, posixpath.dirname(place) or '.')}{match[3]}"

    return LINK.sub(there, text)


def site_place(name: str) -> str:
    """Where in the site a file of the repository is."""
    if name == "README.md":
        return "index.md"
    if name.startswith("docs/"):
        return name.removeprefix("docs/").replace(".ipynb", ".md")
    return f"source/{name}.md"


def listing(name: str) -> str:
    """The page of a file of the repository."""
    text = (ROOT / name).read_text()
    return f"# `{name}`\n\n````{'python' if name.endswith('.py') else 'text'}\n{text}````\n"


def linked(text: str, places: Mapping[str, str]) -> str:
    """Markdown in which `KEY` in code leads to what `places` has for it; links, headings and blocks of code stay as they are."""
    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and not line.startswith(("#", "    ")):
            line = CODE_SPAN.sub(lambda m: f"[{m[0]}]({places[m[1]]})" if m[1] in places else m[0], line)
        lines.append(line)
    return "\n".join(lines)
