"""README as two pages: what the package is and how it is used, and the figures that it was measured by."""

FRONT, FIGURES = "index.md", "figures.md"
MEASURED = ("Unbiased transitions", "Figures", "On a surface, against the paper")
"""Sections of README that are mostly figures"""


def front_pages(readme: str) -> dict[str, str]:
    """Markdown of both by the place in the site; each section of README stands in one of them."""
    head, *sections = readme.split("\n## ")
    titles = [section.partition("\n")[0] for section in sections]
    missing = set(MEASURED) - set(titles)
    if missing:
        raise ValueError(f"README has no section {sorted(missing)[0]!r}")
    pages = {FRONT: [head], FIGURES: ["# Figures"]}
    for title, section in zip(titles, sections, strict=True):
        pages[FIGURES if title in MEASURED else FRONT].append(f"## {section}")
    return {name: "\n\n".join(part.strip("\n") for part in parts) + "\n" for name, parts in pages.items()}
