"""The package's units are OpenMM's: nm, ps, kJ/mol, radians. Degrees appear only where a file or a user needs them."""

from math import ceil, log10

BOLTZMANN = 0.00831446261815324
"""Molar gas constant in kJ/mol/K (exact in the 2019 SI)."""


def thermal_energy(temperature: float) -> float:
    """kT in kJ/mol at a temperature in kelvin."""
    return BOLTZMANN * temperature


def decimals(scale: float) -> int:
    """After the point, of a value in words whose unit people read is `scale` times the package's: none of degrees, two of nm."""
    return max(ceil(1.0 - log10(scale)), 0)
