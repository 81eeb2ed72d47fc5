"""All-atom molecular transition paths along geodesics in the spacetime of a diffusion model."""

from typing import Any

__all__ = [
    "Folder", "Memory", "Problem", "Results", "Settings", "Simulation", "SpacetimeError", "SystemSpec", "load_system", "open", "prepare",
    "run", "run_stages", "summarise", "two_structures",
]  # fmt: skip

_HOMES = {
    "Folder": "spacetime_tps.storage.folder",
    "Memory": "spacetime_tps.storage.memory",
    "Problem": "spacetime_tps.problems.problem",
    "Results": "spacetime_tps.results.results",
    "Settings": "spacetime_tps.settings",
    "Simulation": "spacetime_tps.engines.openmm.simulation",
    "SpacetimeError": "spacetime_tps.errors",
    "SystemSpec": "spacetime_tps.problems.system",
    "load_system": "spacetime_tps.problems.system",
    "open": "spacetime_tps.results.results",
    "prepare": "spacetime_tps.problems.problem",
    "run": "spacetime_tps.pipeline.run",
    "run_stages": "spacetime_tps.stages.driver",
    "summarise": "spacetime_tps.pipeline.summary",
    "two_structures": "spacetime_tps.problems.system",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    # Imported when first used: a worker process needs OpenMM alone, and torch takes seconds.
    import importlib
    import importlib.metadata

    if name == "__version__":
        return importlib.metadata.version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
