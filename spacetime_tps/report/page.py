"""One offline HTML file with pictures and tables, and the same pictures as PNG files."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import yaml

from spacetime_tps.denoisers.score_matching import HELD_OUT as EVERY_WINDOW
from spacetime_tps.denoisers.training import HELD_OUT
from spacetime_tps.exploration.route import disagreement_note
from spacetime_tps.files import write_bytes, write_text
from spacetime_tps.report import comparison_section, ensemble_section, molecule_section, work_section
from spacetime_tps.report.data import RunData
from spacetime_tps.report.ensemble_figures import ENSEMBLE_FIGURES
from spacetime_tps.report.figures import FIGURES, PATHS_DRAWN, STYLE, training
from spacetime_tps.report.html import number, table

CAPTIONS = {
    "map": f"Free energy from the weighted samples, the windows they come from, all optimised routes and up to {PATHS_DRAWN} guided paths. Dashed boxes: "
    "the states. Hatched: forbidden, what a region asks of other coordinates left aside. Blank: never visited.",
    "energy": "Potential energy along the paths. What matters is not how high a path lies but how far above the band: a run that never leaves A "
    "has its own highest frame, and most of a path's energy is heat.",
    "highest": "Each path's highest frame, over all stored frames. The difference between the means is the figure to compare methods by.",
    "curve": "The geodesic: concentration of the restraint, what confining the molecule costs on each route, squared speed, and the samples "
    "behind each point.",
    "windows": "Umbrella windows of the last round. Where the two directions differ, the windows are not equilibrated, and the free energies "
    "are no better than that difference.",
    "training": "The denoisers' training: their loss on what they learn from, and on what was held out: of a mixture the squared error of its "
    f"moments, in units of their thermal spread, one in {HELD_OUT} of the weighted samples held out; of a network that of score matching, one in "
    f"{EVERY_WINDOW} windows held out. Where the two part, noise is learnt.",
}
PAGE, PICTURES = "report.html", "report"
"""The report in a run folder, and where its pictures are"""
ALONE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What the page may load: nothing from anywhere"""
CSS = """
:root{--ink:#1b2733;--muted:#6b7885;--line:#e3e8ed;--accent:#0b3d91}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);max-width:1120px;margin:2.5rem auto;padding:0 1.2rem;background:#fff}
h3{font-size:1rem;margin:1.4rem 0 .4rem}h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
.sub{color:var(--muted);margin:0 0 1.4rem}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:.8rem}
.card{border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem}.card b{display:block;font-size:1.5rem;color:var(--accent);font-weight:650}
.card span{color:var(--muted);font-size:.85rem}.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(430px,1fr));gap:1.4rem}
figure{margin:0}img{width:100%;height:auto}figcaption{color:var(--muted);font-size:.86rem;margin-top:.3rem}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}td,th{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}th{color:var(--muted);font-weight:600}tr.best td{font-weight:650}
pre{background:#f6f8fa;padding:1rem;border-radius:8px;font-size:.78rem;overflow:auto}.note{border-left:3px solid #c2410c;padding:.2rem .9rem;color:var(--muted)}
"""


def write_report(folder: Path) -> None:
    """Write report.html and report/*.png in a run folder; pictures of what is no longer there go. Raises SpacetimeError where it holds no finished run."""
    run = RunData.of(folder)
    pictures = {}
    with mpl.rc_context(STYLE):
        extra = ({"training": training} if run.rounds["denoisers"] else {}) | (ENSEMBLE_FIGURES if run.unbiased else {})
        extra |= {"work": work_section.works} if run.summary.get("work") else {}
        for name, draw in (FIGURES | extra).items():
            buffer = io.BytesIO()
            draw(run).savefig(buffer, format="png", metadata={"Software": None})
            pictures[name] = buffer.getvalue()
    for file in (folder / PICTURES).glob("*.png"):
        if file.stem not in pictures:
            file.unlink()
    for name, content in pictures.items():
        write_bytes(folder / PICTURES / f"{name}.png", content)
    write_text(folder / PAGE, _page(run, pictures))


def _page(run: RunData, pictures: dict[str, bytes]) -> str:
    s = run.summary
    figures = {name: _figure(name, content) for name, content in pictures.items()}
    title = html.escape(s["system"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{ALONE}"><meta name="viewport" content="width=device-width">
<title>{title}: transition paths</title><style>{CSS}</style></head><body>
<h1>{title}: from A to B</h1>
<p class="sub">{s["temperature_K"]:g} K · {html.escape(", ".join(run.config["system"]["forcefield"]) or Path(run.config["system"]["system"]).name)} · OpenMM {html.escape(s["platform"])} ·
seed {run.settings.seed} · route {html.escape(s["route"]["name"])}</p>
<div class="cards">{_cards(s)}</div>
{_warnings(run)}
<h2>Where the paths go</h2><div class="pair">{figures["map"]}<div>{figures["energy"]}{figures["highest"]}</div></div>
{molecule_section.section(run)}{ensemble_section.section(run.unbiased, figures) if run.unbiased else ""}{work_section.section(s["work"], figures["work"]) if s.get("work") else ""}{_forbidden(s.get("avoid"))}<h2>Routes</h2>{_routes(s["routes"])}
<h2>The curve and the windows behind it</h2><div class="pair">{figures["curve"]}<div>{figures["windows"]}{figures.get("training", "")}</div></div>
<h2>Paths</h2>{_paths(run)}
{comparison_section.section(run)}<h2>What it cost</h2>{_costs(s)}
<h2>Settings and versions</h2><pre>{html.escape(yaml.safe_dump(run.config, sort_keys=False))}</pre>
<pre>{html.escape(yaml.safe_dump(s["versions"], sort_keys=False))}</pre>
<p class="sub">Guided paths are pulled by a restraint: they connect A and B, and are not samples of the unbiased transition path ensemble.
Unbiased ones are, with their weights.</p>
</body></html>
"""


def _figure(name: str, content: bytes) -> str:
    data = base64.b64encode(content).decode()
    return f'<figure><img alt="{name}" src="data:image/png;base64,{data}"><figcaption>{(CAPTIONS | ensemble_section.CAPTIONS | {"work": work_section.CAPTION})[name]}</figcaption></figure>'


def _cards(s: dict[str, Any]) -> str:
    guided = s["stages"].get("guided", {})
    above = guided.get("max_energy_above_thermal_kj_mol")
    cards = []
    if guided:
        cards = [
            (f"{guided['hits']} / {guided['paths']}", "guided paths that connect A and B"),
            (f"{guided['evaluations_per_path']:,.0f}", "force evaluations a guided path"),
            (
                f"{above['value']:.1f} ± {above['standard_error']:.1f}" if above else "–",
                "kJ/mol, guided paths' highest energy above an equally long run in A",
            ),
        ]
    if u := s.get("unbiased"):
        cards += [
            (f"{u['effective_paths']:.0f}", f"effective unbiased transitions, {u['stopped_because']}"),
            (f"{u['evaluations_per_effective_path']:,.0f}", "force evaluations per effective transition"),
        ]
    cards += [
        *([] if s["failed"] else [(f"{s['route']['barrier_kT']:.1f} kT", "largest cost of confinement on the route")]),
        (f"{s['evaluations']['total']:,}", "force evaluations in all"),
    ]
    return "".join(f'<div class="card"><b>{value}</b><span>{label}</span></div>' for value, label in cards)


def _warnings(run: RunData) -> str:
    route, floor = run.summary["route"], run.settings.geodesic.min_effective_samples
    notes = [html.escape(run.summary["failed"])] if run.summary["failed"] else []
    avoid = run.summary.get("avoid")
    if avoid and avoid["sentence"]:
        notes.append(html.escape(avoid["sentence"]))
    if route["effective_samples"] < floor:
        notes.append(f"A point of the curve rests on {route['effective_samples']:.0f} effective samples, fewer than {floor:.0f}.")
    apart = disagreement_note(route["forward_backward_kT"])
    if apart and apart != run.summary["failed"]:
        notes.append(apart)
    unstable = sum(stage["unstable"] for stage in run.summary["stages"].values())
    if unstable:
        notes.append(f"{unstable} paths were unstable and count as misses; a smaller dynamics.timestep_fs helps.")
    return "".join(f'<p class="note">{note}</p>' for note in notes)


def _routes(routes: list[dict[str, Any]]) -> str:
    head = ["route", "barrier, kT", "length", "effective samples ≥", "rounds of windows", "overlap ≥", "both directions differ by, kT"]
    rows = [
        [
            r["name"], number(r["barrier_kT"]), number(r["length"]), number(r["effective_samples"], ".0f"), str(r["rounds"]),
            number(r["lowest_overlap"]), number(r["forward_backward_kT"]),
        ]
        for r in routes
    ]  # fmt: skip
    return table(head, rows, best=0)


def _forbidden(avoid: dict[str, Any] | None) -> str:
    if not avoid:
        return ""
    head = [
        "region",
        "paths that enter",
        "frames inside",
        "the curve's P_eta(region) ≤",
        "nats away, with margin",
        "of the margin",
        "wanted",
        "kept",
    ]
    rows = [
        [
            r["region"], f"{r['paths_entering']} of {r['paths']}", f"{r['frames_inside']} of {r['frames']}", f"{r['p_eta']:.1g}" if r["p_eta"] else "no sample in it",
            number(r["divergence_nats"], ".1f"), f"{r['margin_share']:g}", f"{r['floor_nats']:g}", "crossed" if r["crosses"] else "no" if r["lack_nats"] else "yes",
        ]
        for r in avoid["regions"]
    ]  # fmt: skip
    apart = ", ".join(html.escape(r["region"]) for r in avoid["regions"] if not r["ranges"])
    note = f'<p class="sub">Not drawn, since no coordinate bounds it: {apart}.</p>' if apart else ""
    return "<h2>Forbidden regions</h2>" + table(head, rows) + note


def _paths(run: RunData) -> str:
    s = run.summary
    head = [
        "stage", "route", "paths", "hits", "unstable", "evaluations a path", "highest energy, kJ/mol", "above an equally long run in A",
        "above unbiased paths embedded in A",
    ]  # fmt: skip
    rows = []
    for stage, route, p in ((stage, route, p) for stage, routes in s["by_route"].items() for route, p in routes.items()):
        energy = p["max_energy_kj_mol"]
        above = [p.get(f"max_energy_above_{reference}_kj_mol") for reference in ("thermal", "embedded")]
        rows.append([
            stage, route, str(p["paths"]), f"{p['hits']} ({p['hit_rate']:.0%})", str(p["unstable"]), f"{p['evaluations_per_path']:,.0f}",
            f"{number(energy['value'], '.1f')} ± {number(energy['std'], '.1f')}",
            *(f"{x['value']:.1f} ± {x['standard_error']:.1f} (s.e.)" if x else "–" for x in above),
        ])  # fmt: skip
    t, e = s["thermal_reference"], s["embedded_reference"]
    mean = f"{number(t['value'], '.1f')} ± {number(t['std'], '.1f')}"
    rows.append([run.thermal_stretches, "", str(t["count"]), *[""] * 3, mean, "0", ""])
    if e:
        rows.append(["unbiased paths embedded in A", *[""] * 5, f"{e['value']:.1f} (s.e. {e['standard_error']:.1f})", "", "0"])
    return table(head, rows)


def _costs(s: dict[str, Any]) -> str:
    rows = [[stage, f"{count:,}"] for stage, count in s["evaluations"].items() if stage != "total" and count]
    rows.append(["total", f"{s['evaluations']['total']:,}"])
    rows += [[f"baseline: {stage} (not in the total)", f"{count:,}"] for stage, count in s["baseline_evaluations"].items() if count]
    times = [[f"seconds, {stage}", f"{seconds:.1f}"] for stage, seconds in s["wall_seconds"].items()]
    return table(["force or energy evaluations", ""], rows) + table(["wall time", ""], times)
