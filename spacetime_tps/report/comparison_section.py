"""The report's section on a comparison with other methods, where one lies in the run folder."""

import base64
import html

from spacetime_tps.report.comparison import HEAD, LEGEND, rows_of, sentences
from spacetime_tps.report.comparison_figure import picture
from spacetime_tps.report.comparison_file import FILE, SECTION, current, refusal
from spacetime_tps.report.data import RunData
from spacetime_tps.report.html import table


def section(run: RunData) -> str:
    """HTML; nothing where there is no comparison of this run."""
    name = f"{SECTION}/{FILE}"
    content = run.storage.record(name) if run.storage.has(name) else None
    if content is None or refusal(content, run) is not None:
        return ""
    now = current(content, run)
    notes = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences(now))
    if not now["methods"]:
        return f"<h2>Against other methods</h2><ul>{notes}</ul>" if notes else ""
    shown = base64.b64encode(picture(now["methods"])).decode()
    return (
        f"<h2>Against other methods</h2><figure><img alt='comparison' src='data:image/png;base64,{shown}'></figure>"
        f"<div style='overflow-x:auto'>{table(list(HEAD), rows_of(now['methods']))}</div><ul>{notes}</ul><p class='sub'>{html.escape(LEGEND)}</p>"
    )
