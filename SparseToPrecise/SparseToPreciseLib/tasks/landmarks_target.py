"""One target of `sparse-to-precise landmarks detect`: what was found on it, for journal, report and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outputs import rounded

if TYPE_CHECKING:
    from ..landmarks.detect import Detection, Landmark

TABLE = "landmarks.csv"
"""Name of the table over all targets."""


@dataclass(frozen=True)
class TargetOutcome:
    """One target: what was found on it, without its images, or why it could not be used.

    Attributes
    ----------
    path, name
        The image's, and what its results are called after.
    error
        Why there are no landmarks; empty when there are.
    landmarks
        In the template's order.
    mirrored, mass
        As `landmarks.detect.Detection` and its place have them.
    stages
        What each stage did, as plain numbers.
    timings
        Seconds by stage.
    notes
        What the user should know.
    """

    path: Path
    name: str
    error: str = ""
    landmarks: Sequence[Landmark] = ()
    mirrored: bool = False
    mass: float = 0.0
    stages: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, path: Path, name: str, found: Detection) -> TargetOutcome:
        """The outcome of a detection."""
        return cls(
            path,
            name,
            "",
            found.landmarks,
            found.mirrored,
            float(found.place.mass),
            _plain(found.report),
            found.timings,
            found.notes,
        )

    @classmethod
    def from_entry(cls, path: Path, name: str, entry: dict[str, Any]) -> TargetOutcome:
        """The outcome that a journal has noted."""
        import numpy as np

        from ..landmarks.detect import Landmark

        landmarks = [
            Landmark(one["name"], None if one["position"] is None else np.array(one["position"]), *one["rest"])
            for one in entry["landmarks"]
        ]
        return cls(path, name, **{**entry, "landmarks": landmarks})

    def as_entry(self) -> dict[str, Any]:
        """The same for a journal."""
        content = {name: value for name, value in asdict(self).items() if name not in ("path", "name", "error")}
        content["landmarks"] = [
            {"name": one.name, "position": _plain(one.position), "rest": [float(one.confidence), one.reason]}
            for one in self.landmarks
        ]
        return content

    def as_json(self, decimals: int = 4) -> dict[str, Any]:
        """The same for a report: lengths in mm with so many decimals, times in seconds."""
        if self.error:
            return {"name": self.name, "path": str(self.path), "error": self.error}
        return {
            "name": self.name,
            "path": str(self.path),
            "mirrored": self.mirrored,
            "landmarks": [
                {
                    "name": one.name,
                    "ras": None if one.position is None else [round(float(value), decimals) for value in one.position],
                    "confidence": round(one.confidence, 4),
                    "reason": one.reason,
                }
                for one in self.landmarks
            ],
            "stages": self.stages,
            "timings": rounded(self.timings),
            "notes": list(self.notes),
        }

    def csv_rows(self, names: Sequence[str], decimals: int = 4) -> list[tuple[str, ...]]:
        """A row for each landmark, mm with so many decimals; where there are none, for each of the template's names."""
        if self.error:
            return [(self.name, name, *[""] * 4, "failed", self.error) for name in names]
        rows = []
        for one in self.landmarks:
            where = [""] * 3 if one.position is None else [f"{value:.{decimals}f}" for value in one.position]
            status = "unplaced" if one.position is None else "placed"
            rows.append((self.name, one.name, *where, f"{one.confidence:.3f}", status, one.reason))
        return rows

    @property
    def row(self) -> tuple[str, ...]:
        """Its line in the table for people."""
        if self.error:
            return self.name, "–", "–", "–", "–", self.error
        placed = [one for one in self.landmarks if one.position is not None]
        unplaced = [one for one in self.landmarks if one.position is None]
        remarks = ["mirrored"] if self.mirrored else []
        if unplaced and not placed:
            remarks.append(unplaced[0].reason)
        elif len(unplaced) == 1:
            remarks.append(f"{unplaced[0].name}: {unplaced[0].reason}")
        elif unplaced:
            remarks.append(f"{len(unplaced)} unplaced")
        return (
            self.name,
            f"{len(placed)} of {len(self.landmarks)}",
            f"{min(one.confidence for one in placed):.2f}" if placed else "–",
            f"{self.mass:.2f}",
            f"{sum(self.timings.values()):.1f}",
            "; ".join(remarks),
        )


def _plain(value: Any) -> Any:
    """Numbers, texts and lists that JSON knows."""
    import numpy as np

    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value
