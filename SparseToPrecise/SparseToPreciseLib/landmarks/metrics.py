"""Errors of landmarks: their distances from where they should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.errors import InputError

WITHIN_MM = (1.0, 2.0, 4.0)


def landmark_errors(predicted: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Radial errors between points of the same name.

    Parameters
    ----------
    predicted, reference
        Name to RAS position, mm.

    Returns
    -------
    dict
        `errors_mm` by name (None: not predicted), `placed` and `wanted` (counts), `mean_mm`, `median_mm`, `max_mm` of
        those placed (None without any), and `within_1_mm`, `within_2_mm`, `within_4_mm`: shares of all wanted.

    Raises
    ------
    InputError
        The reference has no points, or none of its names is among the predicted.
    """
    if not reference:
        raise InputError("The reference holds no placed landmarks, so there is nothing to compare with.")
    if predicted and not set(predicted) & set(reference):
        raise InputError(
            f"No name is in both lists ({next(iter(predicted))!r} against {next(iter(reference))!r}); "
            "name the landmarks alike."
        )
    errors: dict[str, float | None] = {
        name: float(np.linalg.norm(np.asarray(predicted[name]) - point)) if name in predicted else None
        for name, point in reference.items()
    }
    placed = np.array([error for error in errors.values() if error is not None])
    some = len(placed) > 0
    found: dict[str, Any] = {
        "errors_mm": errors,
        "wanted": len(errors),
        "placed": len(placed),
        "mean_mm": float(placed.mean()) if some else None,
        "median_mm": float(np.median(placed)) if some else None,
        "max_mm": float(placed.max()) if some else None,
    }
    return found | {f"within_{limit:g}_mm": float((placed <= limit).sum() / len(errors)) for limit in WITHIN_MM}
