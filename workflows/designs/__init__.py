"""The denoisers that docs/denoisers.md compares, and how it measures them. Those that lost live here only."""
