"""Pieces of the report's page."""

import html


def table(head: list[str], rows: list[list[str]], best: int | None = None) -> str:
    """A table of text; the row `best` stands out."""
    body = "".join(
        f"<tr{' class=best' if index == best else ''}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for index, row in enumerate(rows)
    )
    return f"<table><tr>{''.join(f'<th>{html.escape(h)}</th>' for h in head)}</tr>{body}</table>"


def number(value: float | None, form: str = ".2f") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else format(value, form)
