"""Where a trajectory ended."""

IN_A, IN_B, NOWHERE = 0, 1, -1
"""In one of the two states, or in neither: its steps ran out, or it broke down"""
