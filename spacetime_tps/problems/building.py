"""A model and the two ends, from what a system names: files with a force field, water about them, or what another program prepared."""

from dataclasses import dataclass
from functools import partial

from spacetime_tps.engines.openmm import platforms
from spacetime_tps.engines.openmm.dynamics import Model
from spacetime_tps.molecules.atoms import molecule_of
from spacetime_tps.molecules.ends import Ends, two_ends, two_ends_of
from spacetime_tps.molecules.forcefield import build_solvated_system, build_system, cell_of, serialised
from spacetime_tps.molecules.prepared import Prepared, read_prepared
from spacetime_tps.molecules.solvent import in_solvent
from spacetime_tps.molecules.structure import Structure
from spacetime_tps.molecules.water import with_water
from spacetime_tps.problems.description import boxes_for, coordinates_for
from spacetime_tps.problems.settings import DynamicsSettings
from spacetime_tps.problems.solvated import how, solvate
from spacetime_tps.problems.system import SystemSpec
from spacetime_tps.progress import Progress


@dataclass(frozen=True)
class Built:
    """What can be simulated; the ends have one topology, the molecule before the solvent."""

    model: Model
    """On the platform that is wanted; where any is, on one that can run it"""
    start: Structure
    end: Structure
    evaluations: int = 0


def build(spec: SystemSpec, dynamics: DynamicsSettings, progress: Progress) -> Built:
    """Read, match, parametrise, and put into water where that is asked for and not there; says what was left out or put in. Raises
    SpacetimeError for what is wrong with the input."""
    model = partial(_model, spec=spec, dynamics=dynamics)
    if spec.system is not None:
        prepared = read_prepared(spec.system, spec.parameters)
        start, end = _whole(_of_prepared(prepared, spec), progress)
        return Built(model(serialised(prepared.of(start))), start, end)
    ends = two_ends(spec.start, spec.end, spec.forcefield, keep_names=spec.labelled, keep_solvent=spec.solvent is not None)
    start, end = _whole(ends, progress)
    if spec.solvent is None:
        found = model(serialised(build_system(start.topology, spec.forcefield, spec.hydrogens)))
        if spec.hydrogens.said:
            progress.say(f"{spec.hydrogens.said}, steps of {1e3 * found.timestep:g} fs")
        return Built(found, start, end)
    files = with_water(spec.forcefield, spec.solvent.water)
    if ends.solvents is not None:
        found = model(serialised(build_solvated_system(start.topology, files, spec.hydrogens)))
        progress.say(f"in this water: {how(found, spec.hydrogens)}")
        return Built(found, start, end)
    molecule = molecule_of(start, end, None)  # what is wrong with its coordinates or states is said before water is equilibrated
    coordinates_for(spec, molecule, periodic=True)
    boxes_for(spec, molecule)
    water = solvate(start, end, spec.solvent, files, spec.hydrogens, model, progress)
    progress.say(water.said)
    return Built(water.model, water.start, water.end, water.evaluations)


def _of_prepared(prepared: Prepared, spec: SystemSpec) -> Ends:
    """Brought to the atoms of its topology; where it has none, the start's, and the water that both files hold."""
    assert spec.system is not None
    if prepared.topology is None:
        return two_ends(spec.start, spec.end, (), keep_names=spec.labelled, cell=cell_of(prepared.system))
    return two_ends_of(prepared.topology, spec.system.name, spec.start, spec.end, keep_names=spec.labelled)


def _whole(ends: Ends, progress: Progress) -> tuple[Structure, Structure]:
    """With what is kept about them; says what is not, and what was put in."""
    for sentence in ends.said:
        progress.say(sentence)
    if ends.solvents is None:
        return ends.start, ends.end
    start, end = (in_solvent(molecule, solvent) for molecule, solvent in zip((ends.start, ends.end), ends.solvents, strict=True))
    return start, end


def _model(system_xml: str, *, spec: SystemSpec, dynamics: DynamicsSettings) -> Model:
    return Model(
        system_xml,
        spec.temperature_K,
        spec.friction_per_ps if dynamics.friction_per_ps is None else dynamics.friction_per_ps,
        1e-3 * (spec.timestep_fs if dynamics.timestep_fs is None else dynamics.timestep_fs),
        _platform(system_xml, spec, dynamics.named_platform),
    )


def _platform(system_xml: str, spec: SystemSpec, wanted: str | None) -> str:
    """Reference until platforms are timed; in water, which is equilibrated before, the one that is likely the fastest."""
    if wanted is not None:
        return platforms.check(wanted)
    return "Reference" if spec.solvent is None else platforms.likely(system_xml)
