"""Exponential families: what a restraint on features T makes of a molecule, one file a kind of noise."""
