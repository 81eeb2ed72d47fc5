"""All-atom molecular transition paths along geodesics in the spacetime of a diffusion model."""

from typing import Any

__all__ = ["Settings", "SpacetimeError", "SystemSpec", "load_system", "run", "two_structures"]

_HOMES = {
    "Settings": "spacetime_tps.pipeline.settings",
    "SpacetimeError": "spacetime_tps.errors",
    "SystemSpec": "spacetime_tps.pipeline.system",
    "load_system": "spacetime_tps.pipeline.system",
    "run": "spacetime_tps.pipeline.run",
    "two_structures": "spacetime_tps.pipeline.system",
}


def __getattr__(name: str) -> Any:
    # Imported when first used: a worker process needs OpenMM alone, and torch takes seconds.
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
