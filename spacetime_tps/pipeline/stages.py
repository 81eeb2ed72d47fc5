"""Which stages of a run folder are up to date: stages.json holds what each was made from and how long it took."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.files import write_json


def fingerprint(*parts: Any) -> str:
    """A digest of plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Stages:
    """stages.json of a run folder."""

    def __init__(self, folder: Path):
        self._file = folder / "stages.json"
        self._records: dict[str, dict[str, Any]] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def current(self, stage: str, made_from: str) -> bool:
        """Whether the stage was finished with this fingerprint."""
        return self.begun(stage, made_from) and self._records[stage]["finished"]

    def begun(self, stage: str, made_from: str) -> bool:
        """Whether what there is of the stage, finished or interrupted, has this fingerprint."""
        return self._records.get(stage, {}).get("made_from") == made_from

    def made_from(self, stage: str) -> str:
        """The fingerprint of a finished stage. Raises SpacetimeError where it is not finished."""
        if not self._records.get(stage, {}).get("finished"):
            raise SpacetimeError(f"the stage {stage} of this run is not finished: call run again")
        return str(self._records[stage]["made_from"])

    @contextmanager
    def making(self, stage: str, made_from: str, *, seconds: float = 0.0) -> Iterator[None]:
        """Run a stage; it is current afterwards unless the block raises. `seconds` spent before, and interrupted attempts, count."""
        seconds += self._records[stage]["wall_seconds"] if self.begun(stage, made_from) else 0.0
        begin = time.perf_counter()
        self._record(stage, made_from, seconds, finished=False)
        try:
            yield
        except BaseException:
            self._record(stage, made_from, seconds + time.perf_counter() - begin, finished=False)
            raise
        self._record(stage, made_from, seconds + time.perf_counter() - begin, finished=True)

    def _record(self, stage: str, made_from: str, seconds: float, *, finished: bool) -> None:
        self._records[stage] = {"made_from": made_from, "wall_seconds": round(seconds, 2), "finished": finished}
        write_json(self._file, self._records)

    def wall_seconds(self) -> dict[str, float]:
        """Seconds that each stage took, interrupted attempts included."""
        return {stage: record["wall_seconds"] for stage, record in self._records.items()}
