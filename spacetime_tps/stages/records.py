"""Which stages are up to date: stages.json holds what each was made from, what was asked for, and how long it took."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spacetime_tps.errors import SpacetimeError
from spacetime_tps.storage.protocol import Storage

FILE = "stages.json"
ENTRY = {"made_from", "asked", "wall_seconds", "finished"}


def fingerprint(*parts: Any) -> str:
    """A digest of plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Records:
    """stages.json of a storage."""

    def __init__(self, storage: Storage):
        self._storage = storage
        found = storage.record(FILE) if storage.has(FILE) else {}
        if not isinstance(found, dict) or not all(isinstance(r, dict) and set(r) == ENTRY for r in found.values()):
            raise SpacetimeError(f"{FILE} is damaged: remove it, and the stages are made anew")
        self._records: dict[str, dict[str, Any]] = found

    def begun(self, stage: str, made_from: str) -> bool:
        """Whether what there is of the stage, finished or interrupted, was made from this."""
        return self._records.get(stage, {}).get("made_from") == made_from

    def finished(self, stage: str, made_from: str) -> bool:
        """Whether the stage was finished, made from this, whatever was asked for."""
        return self.begun(stage, made_from) and bool(self._records[stage]["finished"])

    def current(self, stage: str, made_from: str, asked: str) -> bool:
        """Whether the stage was finished, made from this, and this was asked for."""
        return self.finished(stage, made_from) and self._records[stage]["asked"] == asked

    def outdated(self, stage: str, made_from: str) -> bool:
        """Whether there is anything of the stage, made from something else."""
        return stage in self._records and not self.begun(stage, made_from)

    def check_finished(self, stage: str) -> None:
        """Raise SpacetimeError where a stage is not finished."""
        if not self._records.get(stage, {}).get("finished"):
            raise SpacetimeError(f"the stage {stage} of this run is not finished: call run again")

    @contextmanager
    def making(self, stage: str, made_from: str, asked: str = "", *, seconds: float = 0.0) -> Iterator[None]:
        """Run a stage; it is current afterwards unless the block raises. `seconds` spent before, and interrupted attempts, count."""
        seconds += self._records[stage]["wall_seconds"] if self.begun(stage, made_from) else 0.0
        begin = time.perf_counter()
        self._record(stage, made_from, asked, seconds, finished=False)
        try:
            yield
        except BaseException:
            self._record(stage, made_from, asked, seconds + time.perf_counter() - begin, finished=False)
            raise
        self._record(stage, made_from, asked, seconds + time.perf_counter() - begin, finished=True)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count seconds that a finished stage took elsewhere."""
        entry = self._records[stage]
        self._record(stage, entry["made_from"], entry["asked"], entry["wall_seconds"] + seconds, finished=True)

    def forget(self, stage: str) -> None:
        """That there was anything of the stage."""
        if self._records.pop(stage, None) is not None:
            self._storage.put_record(FILE, self._records)

    def _record(self, stage: str, made_from: str, asked: str, seconds: float, *, finished: bool) -> None:
        entry = {"made_from": made_from, "asked": asked, "wall_seconds": round(seconds, 2), "finished": finished}
        self._records[stage] = entry
        self._storage.put_record(FILE, self._records)

    def wall_seconds(self) -> dict[str, float]:
        """Seconds that each stage took, interrupted attempts included."""
        return {stage: record["wall_seconds"] for stage, record in self._records.items()}
