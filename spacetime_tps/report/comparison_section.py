"""The report's section on a comparison with other methods, where one lies in the run folder."""

import base64
import html

from spacetime_tps.report.comparison import HEAD, LEGEND, rows_of, sentences
from spacetime_tps.report.comparison_figure import picture
from spacetime_tps.report.data import RunData
from spacetime_tps.report.html import table

SECTION, FILE = "compare", "compare.json"
"""Where in a run folder a comparison is, if it is there"""
FORMAT = 1
"""Of the entries of compare.json, which a later call keeps"""


def section(run: RunData) -> str:
    """HTML; nothing where there is no comparison, or one of another problem or version."""
    name = f"{SECTION}/{FILE}"
    content = run.storage.record(name) if run.storage.has(name) else {}
    if content.get("format") != FORMAT or content["problem"] != run.summary.get("problem") or not content["methods"]:
        return ""
    shown = base64.b64encode(picture(content["methods"])).decode()
    notes = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences(content))
    return (
        f"<h2>Against other methods</h2><figure><img alt='comparison' src='data:image/png;base64,{shown}'></figure>"
        f"<div style='overflow-x:auto'>{table(list(HEAD), rows_of(content['methods']))}</div><ul>{notes}</ul><p class='sub'>{html.escape(LEGEND)}</p>"
    )
