"""Which edits a segment has had, which of them it still shows, and what undoing one of them alone would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..core.errors import InputError

MOST_VOXELS = 4_000_000
"""Changed voxels that a history remembers, about 50 MB; the oldest edits are forgotten first."""

_HELD_SHARE = 0.5
"""An edit is in effect when at least this share of what is left of it holds; another tool may have eaten a corner."""

Values = Callable[[np.ndarray], np.ndarray]
"""(N, 3) voxel indices I, J, K -> (N,) bool, whether they are in the segment now."""


@dataclass(frozen=True, eq=False)
class PastEdit:
    """One edit: what was drawn, and what it changed.

    Attributes
    ----------
    number
        1 for a segment's first edit; never given twice.
    stroke
        (N, 3) points, mm, in the segmentation's own coordinates (before its parent transforms), so that it travels
        with the segmentation.
    influence_radius_mm
        Radius of the edit.
    voxels
        (M, 3) int32 indices I, J, K on the segment's lattice, sorted by their code.
    before
        (M,) bool: whether the voxel was in the segment; after the edit it was the contrary.
    changed_mm3
        Volume that changed.
    built_on
        Numbers of the edits that were not undone when this one was made.
    reverts
        The number of the edit that this one takes back; 0 for a stroke.
    """

    number: int
    stroke: np.ndarray
    influence_radius_mm: float
    voxels: np.ndarray
    before: np.ndarray
    changed_mm3: float
    built_on: frozenset[int] = frozenset()
    reverts: int = 0

    @cached_property
    def codes(self) -> np.ndarray:
        """(M,) one number per voxel, ascending."""
        return _codes(self.voxels)


class EditHistory:
    """The edits of one segment.

    Nothing tells a history that the user has pressed undo or redo, or has painted: it looks at the segment. An edit is
    in effect while the voxels that it changed, and that no later edit in effect has changed again, hold its values.

    Parameters
    ----------
    most_voxels
        Changed voxels to remember.
    """

    def __init__(self, most_voxels: int = MOST_VOXELS) -> None:
        self._most_voxels = most_voxels
        self._edits: list[PastEdit] = []
        self._last_number = 0

    def add(
        self,
        stroke: np.ndarray,
        influence_radius_mm: float,
        voxels: np.ndarray,
        before: np.ndarray,
        changed_mm3: float,
        values: Values,
    ) -> PastEdit:
        """Remember an edit that has just been made.

        Parameters
        ----------
        stroke, influence_radius_mm, voxels, before, changed_mm3
            See `PastEdit`; the voxels in any order, at least one.
        values
            Of the segment after the edit.
        """
        self._last_number += 1
        edit = PastEdit(
            self._last_number,
            np.array(stroke, dtype=np.float64),
            float(influence_radius_mm),
            *_sorted(voxels, before),
            float(changed_mm3),
        )
        return self._remember(edit, values)

    def add_reversal(self, number: int, voxels: np.ndarray, before: np.ndarray, values: Values) -> None:
        """Remember that an edit was reverted, and which voxels that has changed; see `revert`.

        Voxels may have the reverted edit's values for other reasons, so the voxels alone cannot tell.
        """
        self._remember(PastEdit(0, np.empty((0, 3)), 0.0, *_sorted(voxels, before), 0.0, reverts=number), values)

    def _remember(self, edit: PastEdit, values: Values) -> PastEdit:
        self._edits.append(edit)
        shown = frozenset(other.number for other, holding, _ in self._states(values) if holding and other is not edit)
        self._edits[-1] = edit = replace(edit, built_on=shown)
        while len(self._edits) > 1 and sum(len(one.voxels) for one in self._edits) > self._most_voxels:
            self._edits.pop(0)
        return edit

    def in_effect(self, values: Values) -> list[PastEdit]:
        """The edits that the segment shows now, oldest first."""
        return [edit for edit, holding, left in self._states(values) if left.any() and holding]

    def strokes(self, values: Values) -> list[np.ndarray]:
        """Strokes of the edits in effect, oldest first; see `PastEdit.stroke`."""
        return [edit.stroke for edit in self.in_effect(values)]

    def revert(self, number: int, values: Values) -> tuple[np.ndarray, np.ndarray]:
        """Changes by which one edit is undone and the later ones stay.

        Returns
        -------
        voxels : ndarray
            (N, 3) int32 indices I, J, K of the voxels to change.
        inside : ndarray
            (N,) bool: whether they are to be in the segment.

        Raises
        ------
        InputError
            No such edit, or the segment does not show it.
        """
        states = self._states(values)
        found = [state for state in states if state[0].number == number]
        if not found or not found[0][1] or not found[0][2].any():
            raise InputError(
                f"Edit {number} cannot be reverted: the segment does not show it any more "
                "(it was undone, or later changes replaced it)."
            )
        edit, _, left = found[0]
        # Only what still is as the edit left it: what another tool has changed since is not the edit's.
        mine = left & (values(edit.voxels) != edit.before)
        wanted = self._without(edit, states)
        change = mine & (wanted == edit.before)
        return edit.voxels[change], wanted[change]

    def _states(self, values: Values) -> list[tuple[PastEdit, bool, np.ndarray]]:
        """(edit, whether what is left of it holds, which voxels are left), oldest first."""
        states = []
        # A reversal gives voxels back to earlier edits, so it hides earlier reversals only.
        by_edits = by_any = np.empty(0, dtype=np.int64)
        reverted = set()
        for edit in reversed(self._edits):
            left = ~np.isin(edit.codes, by_any if edit.reverts else by_edits)
            held = values(edit.voxels[left]) != edit.before[left]
            holding = edit.number not in reverted and bool(not len(held) or held.mean() >= _HELD_SHARE)
            if holding:
                by_any = np.union1d(by_any, edit.codes)
            if edit.reverts:
                reverted |= {edit.reverts} if holding else set()
                continue
            if holding:
                by_edits = np.union1d(by_edits, edit.codes)
            states.append((edit, holding, left))
        return states[::-1]

    def _without(self, edit: PastEdit, states: Sequence[tuple[PastEdit, bool, np.ndarray]]) -> np.ndarray:
        """(M,) bool: the values that the edit's voxels would have had without it.

        These are the values before it, except where they came from an edit that has been reverted since.
        """
        wanted = edit.before.copy()
        open_ = np.ones(len(wanted), dtype=bool)
        for earlier, holding, _ in reversed(states):
            if earlier.number not in edit.built_on:
                continue
            touched = open_ & np.isin(edit.codes, earlier.codes)
            if holding:
                open_ &= ~touched
            else:
                wanted[touched] = earlier.before[np.searchsorted(earlier.codes, edit.codes[touched])]
        return wanted


def _sorted(voxels: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    voxels = np.asarray(voxels, dtype=np.int32).reshape(-1, 3)
    order = np.argsort(_codes(voxels))
    return voxels[order], np.asarray(before, dtype=bool)[order]


def _codes(voxels: np.ndarray) -> np.ndarray:
    """One number per (I, J, K), each index between -2^20 and 2^20."""
    shifted = voxels.astype(np.int64) + (1 << 20)
    return (shifted[:, 2] << 42) | (shifted[:, 1] << 21) | shifted[:, 0]
