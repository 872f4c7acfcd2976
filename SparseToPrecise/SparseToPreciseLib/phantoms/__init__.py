"""Procedural cases with known truth for training, tests, the demonstration and the benchmarks."""

from __future__ import annotations

from .organs import FAMILIES, HELD_OUT_FAMILIES, TRAIN_FAMILIES, Phantom, make_phantom

__all__ = ["FAMILIES", "HELD_OUT_FAMILIES", "TRAIN_FAMILIES", "Phantom", "make_phantom"]
