"""Every setting of a run, with its default; a typo is an error that names the key and the nearest valid one."""

import difflib
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.pipeline.regions import Forbidden
from spacetime_tps.sampling.guided import hold_points


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DynamicsSettings(_Settings):
    """Langevin dynamics (OpenMM's LangevinMiddleIntegrator)."""

    friction_per_ps: float | None = Field(None, gt=0, description="the system's where it is not given")
    timestep_fs: float | None = Field(None, gt=0, description="the system's where it is not given")
    platform: str = Field("auto", description="OpenMM platform; auto times those that are present")


class TrainingSettings(_Settings):
    """Plain MD in the two ends. The runs in A are the thermal reference too."""

    walks: int = Field(4, ge=1, description="independent walks in each end")
    equilibration_steps: int = Field(2000, ge=0)
    segments_a: int = Field(12, ge=1, description="stretches as long as a guided path in each walk in A")
    segments_b: int = Field(2, ge=1, description="the same in B")
    pool_stride: int = Field(20, ge=1, description="every so many frames enter the pool of weighted samples")


class WindowSettings(_Settings):
    """Umbrella windows along the current curves, walked both ways."""

    count: int = Field(24, ge=4)
    steps: int = Field(3000, ge=1, description="at each window, each way")
    discard: int = Field(1000, ge=1, description="of these, before frames are stored")
    stride: int = Field(25, ge=1)
    stiffness: float = Field(
        2.0,
        ge=1,
        description="eta of a window over eta of the curve: tighter windows equilibrate where the curve's own posterior has two basins",
    )
    min_overlap: float = Field(0.1, gt=0, lt=1, description="below this the noise floor is lowered")
    max_overlap: float = Field(0.7, gt=0, lt=1, description="above this the noise floor is raised")

    @model_validator(mode="after")
    def _frames_are_left(self) -> "WindowSettings":
        if self.steps - self.discard < 2 * self.stride:
            raise ValueError(f"steps must exceed discard by two strides or more, got {self.steps}, {self.discard} and stride {self.stride}")
        return self


class GeodesicSettings(_Settings):
    """The curve, its penalties and its optimiser."""

    points: int = Field(64, ge=8)
    nodes: int = Field(16, ge=4)
    evaluations: int = Field(200, ge=1, description="of the objective, at most")
    floor: float = Field(20.0, gt=0, description="first noise floor, a precision per rad^2 or 0.01 nm^2; the measured overlap moves it")
    highest_floor: float = Field(400.0, gt=0, description="up to which the floor rises")
    low_variance_weight: float = Field(500.0, ge=0, description="this and the other weights in units of the straight curve's energy")
    barrier_weight: float = Field(0.05, ge=0, description="per kT")
    barrier_sharpness: float = Field(2.0, gt=0, description="of the soft maximum, per kT")
    steepest: float = Field(2.0, gt=1, description="variance over that of the noise alone, beyond which samples cannot follow")
    followable_weight: float = Field(5.0, ge=0)
    min_effective_samples: float = Field(50.0, gt=1)
    effective_samples_weight: float = Field(5.0, ge=0)


class DenoiserSettings(_Settings):
    """The denoiser that is trained on the weighted samples after the last round; the sampled geodesics are then relaxed under it."""

    components: int = Field(128, ge=0, description="of the von Mises mixture; 0 keeps the weighted samples themselves")
    lessons: int = Field(8000, ge=100, description="points and noise levels to learn at")
    steps: int = Field(1000, ge=1)


class RoundSettings(_Settings):
    """Windows, weights, denoiser and geodesic repeat until the curve stays."""

    min_rounds: int = Field(2, ge=1)
    max_rounds: int = Field(6, ge=1)
    length_tolerance: float = Field(0.05, gt=0, description="relative change of the best curve's length at which rounds stop")
    routes: int = Field(1, ge=1, description="how many routes are sampled, best barrier first")
    route_margin_kT: float = Field(2.0, ge=0, description="routes whose barrier is higher than the best by more are not refined")
    max_routes: int = Field(8, ge=1, description="initial curves, at most")
    quenches: int = Field(24, ge=0, description="sampled frames that are minimised to find intermediate minima")

    @model_validator(mode="after")
    def _ordered(self) -> "RoundSettings":
        if self.min_rounds > self.max_rounds:
            raise ValueError(f"min_rounds must not exceed max_rounds, got {self.min_rounds} and {self.max_rounds}")
        return self


class AvoidanceSettings(_Settings):
    """How a curve is kept out of the regions of `Settings.avoid`."""

    floor_nats: float = Field(
        10.0,
        gt=0,
        description="of a curve's divergence from a region: 257 independent frames at P_eta = exp(-10) would take one path in a hundred in",
    )
    margin_degrees: float = Field(10.0, ge=0, description="around a box, for the curve alone: paths lag behind it and are counted without")
    weights: tuple[float, ...] = Field(
        (0.3, 1.0, 3.0, 10.0, 30.0),
        min_length=1,
        description="of the penalty, over the straight curve's energy, in turn: a strong one at once throws a curve off the samples",
    )


class GuidedSettings(_Settings):
    """Guided transitions along the geodesic."""

    paths: int = Field(100, ge=0, description="a route")
    steered: int = Field(0, ge=0, description="paths of the baseline: steered MD on the straight torsion line, at equal cost")
    points: int = Field(127, ge=2, description="of the curve, at which the restraint is set; the last is held for 100 steps or more")
    steps_per_point: int = Field(50, ge=1)
    stride: int = Field(25, ge=1)

    @model_validator(mode="after")
    def _whole_strides(self) -> "GuidedSettings":
        if self.steps_per_point % self.stride:
            raise ValueError(f"steps_per_point must be a multiple of stride, got {self.steps_per_point} and {self.stride}")
        return self


class UnbiasedSettings(_Settings):
    """Unbiased transitions, shot from the top of the routes."""

    paths: int = Field(0, ge=0, description="effective number wanted; 0 leaves the stage out")
    budget: int = Field(10_000_000, ge=1, description="evaluations of the stage, at most")
    stiffness: float = Field(100.0, gt=1, description="kappa of the windows that shooting points are drawn from, doubled where they slide")
    margin_kT: float = Field(8.0, ge=0, description="crossings whose window costs more than the best one's by more are not shot from")
    walkers: int = Field(8, ge=1, description="walks in a window, side by side")
    equilibration: int = Field(2000, ge=0, description="steps of each walk when its window is new")
    points: int = Field(12, ge=1, description="on each walk, in a batch")
    gap: int = Field(300, ge=1, description="steps of a walk from point to point")
    walk_friction_per_ps: float = Field(4.0, gt=0, description="of walks in windows and ladders; that of shots is dynamics.friction_per_ps")
    shots: int = Field(2, ge=1, description="from each point")
    spacing: int = Field(5, ge=1, description="steps between the points that a path could have been shot from")
    states: int = Field(24, ge=0, description="points that look like transition states and are shot from again")
    state_shots: int = Field(10, ge=1, description="from each of those")
    rung_steps: int = Field(1500, ge=300, description="of each walk at each window of the ladder that links a crossing to A")
    longest: int = Field(20_000, ge=1, description="steps of each trajectory of a shot, at most")


class Settings(_Settings):
    """All settings of a run."""

    seed: int = Field(1, ge=0)
    workers: int = Field(0, ge=0, description="processes; 0 takes every core")
    dynamics: DynamicsSettings = DynamicsSettings()
    training: TrainingSettings = TrainingSettings()
    windows: WindowSettings = WindowSettings()
    geodesic: GeodesicSettings = GeodesicSettings()
    rounds: RoundSettings = RoundSettings()
    avoid: tuple[Forbidden, ...] = Field((), description="regions that paths are to keep out of")
    avoidance: AvoidanceSettings = AvoidanceSettings()
    denoiser: DenoiserSettings = DenoiserSettings()
    guided: GuidedSettings = GuidedSettings()
    unbiased: UnbiasedSettings = UnbiasedSettings()

    @model_validator(mode="after")
    def _strides_fit(self) -> "Settings":
        if self.guided.stride % self.unbiased.spacing:
            raise ValueError(f"unbiased.spacing must divide guided.stride, got {self.unbiased.spacing} and {self.guided.stride}")
        if self.unbiased.gap % self.guided.stride:
            raise ValueError(f"unbiased.gap must be a multiple of guided.stride, got {self.unbiased.gap} and {self.guided.stride}")
        return self

    @property
    def path_steps(self) -> int:
        """Force evaluations of one guided path."""
        held = hold_points(self.guided.steps_per_point)
        return (self.guided.points + held) * self.guided.steps_per_point

    @property
    def path_frames(self) -> int:
        """Stored frames of one guided path, its start included."""
        return self.path_steps // self.guided.stride + 1


def parse_settings(assignments: Sequence[str], *, avoid: Sequence[Forbidden] = (), base: Settings | None = None) -> Settings:
    """Settings from words like 'guided.paths=50', over `base` or the defaults. Raises SpacetimeError for an unknown key or a bad value."""
    data = (base or Settings(avoid=tuple(avoid))).model_dump()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise SpacetimeError(f"--set wants key=value, got {assignment!r}")
        parts = key.strip().split(".")
        known = _keys(Settings())
        if key.strip() not in known:
            nearest = difflib.get_close_matches(key.strip(), known, n=1, cutoff=0.0)
            raise SpacetimeError(f"unknown setting {key.strip()!r}; the nearest is {nearest[0]!r}")
        place = data
        for part in parts[:-1]:
            place = place[part]
        try:
            place[parts[-1]] = yaml.safe_load(text)
        except yaml.YAMLError as problem:
            raise SpacetimeError(f"--set {key.strip()} cannot read the value {text!r}") from problem
    return validated(data)


def validated(data: dict[str, Any]) -> Settings:
    """Settings from a nested dictionary; raises SpacetimeError with the first problem in one sentence."""
    try:
        return Settings.model_validate(data)
    except ValidationError as problem:
        raise SpacetimeError(f"setting {first_error(problem)}") from problem


def first_error(problem: ValidationError) -> str:
    """The first error of a validation: where, what, and what was given."""
    error = problem.errors()[0]
    where = ".".join(str(part) for part in error["loc"]) or "values"
    return f"{where}: {error['msg']}, got {error['input']!r}" if error["loc"] else f"{where}: {error['msg']}"


def _keys(model: BaseModel, prefix: str = "") -> list[str]:
    found = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        found.extend(_keys(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else [prefix + name])
    return found
