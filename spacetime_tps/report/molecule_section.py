"""The report's section with a path in three dimensions: 3Dmol.js, the data and a script that joins them, all in the page."""

import html
import json
from importlib.resources import files

from spacetime_tps.report.data import RunData
from spacetime_tps.report.figures import STATE_COLOURS
from spacetime_tps.report.molecule_data import Shown, shown

VIEWER = files("spacetime_tps.report") / "viewer"
CSS = """
#molecule{position:relative;width:100%;height:430px;border:1px solid var(--line);border-radius:10px;overflow:hidden}
#molecule-bar{display:flex;gap:.8rem;align-items:center;margin-top:.5rem;font-size:.86rem}#molecule-frame{flex:1}#molecule-time{min-width:11rem;text-align:right;font-variant-numeric:tabular-nums}
"""


def section(run: RunData) -> str:
    """HTML; nothing where no path connects."""
    found = shown(run)
    if found is None:
        return ""
    last = len(found.frames) - 1
    states = '<label><input type="checkbox" id="molecule-states" checked> transition states</label>'
    return f"""<h2>A path in three dimensions</h2><style>{CSS}</style>
<p class="note" id="molecule-told">This browser draws no WebGL, so that there is nothing to see here; the path is {html.escape(found.row.file)}.</p>
<figure id="molecule-view" hidden><div id="molecule"></div>
<div id="molecule-bar"><button type="button" id="molecule-play">Play</button><input type="range" id="molecule-frame" min="0" max="{last}" value="0">
<span id="molecule-time"></span>{states if len(found.states) else states.replace("<label>", "<label hidden>")}</div>
<figcaption>{html.escape(caption(found))}</figcaption></figure>
<script type="application/json" id="molecule-data">{embedded(found.plain(STATE_COLOURS["B"]))}</script>
<script>{_script("3Dmol-min.js")}</script>
<script>{_script("view.js")}</script>
"""


def caption(found: Shown) -> str:
    """What is to be seen, true for this run."""
    words = [
        f"{found.row.path}: {found.chosen}. {len(found.frames)} of its {found.row.n_frames} frames, beginning with the highest of them; "
        f"highest energy {found.row.max_energy_kj_mol:.1f} kJ/mol above start.pdb"
        + (f", weight {found.row.weight:.3g}" if found.row.weight is not None else "") + "."
    ]  # fmt: skip
    if found.row.work_kT is not None:
        words.append("It was pulled by a restraint.")
    if len(found.states):
        words.append(f"Thin lines: {len(found.states)} of {found.every_state} transition states (transition_states.trr).")
    if found.superposed:
        words.append("All are superposed on the path's first frame by their heavy atoms.")
    if found.solvent:
        words.append("Solvent is left out.")
    return " ".join(words)


def embedded(content: object) -> str:
    """JSON that no text in it can end the element of."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _script(name: str) -> str:
    return (VIEWER / name).read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")
