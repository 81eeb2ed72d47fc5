"""The package's units are OpenMM's: nm, ps, kJ/mol, radians. Degrees appear only where a file or a user needs them."""

BOLTZMANN = 0.00831446261815324
"""Molar gas constant in kJ/mol/K (exact in the 2019 SI)."""


def thermal_energy(temperature: float) -> float:
    """kT in kJ/mol at a temperature in kelvin."""
    return BOLTZMANN * temperature
