"""The tutorial as a page: its cells as they stand, none executed."""

import json
from pathlib import Path


def notebook_page(file: Path) -> str:
    """Markdown; code in fences."""
    cells = json.loads(file.read_text())["cells"]
    parts = [_fenced(cell) if cell["cell_type"] == "code" else "".join(cell["source"]) for cell in cells]
    parts.insert(1, f"This is `docs/{file.name}`, a notebook: open it in Jupyter to run it.")
    return "\n\n".join(parts) + "\n"


def _fenced(cell: dict[str, list[str]]) -> str:
    return "```python\n" + "".join(cell["source"]) + "\n```"
