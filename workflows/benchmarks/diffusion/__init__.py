"""What a diffusion model of conformations does, measured on alanine dipeptide's torsions: docs/diffusion.md."""
