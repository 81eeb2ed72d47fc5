"""Settings of whole runs that take seconds, for what does not depend on figures."""

SMALL = [
    "dynamics.platform=Reference", "training.walks=2", "training.steps_a=4850", "training.steps_b=2425", "training.equilibration_steps=500",
    "windows.count=16", "windows.steps=900", "windows.discard=300", "rounds.max_rounds=2", "rounds.quenches=4", "geodesic.points=24",
    "geodesic.nodes=8", "geodesic.evaluations=20", "guided.paths=2", "guided.points=47", "denoiser.components=0", "unbiased.walkers=4",
    "unbiased.equilibration=600", "unbiased.points=4", "unbiased.rung_steps=600", "unbiased.states=4", "unbiased.state_shots=5",
]  # fmt: skip
