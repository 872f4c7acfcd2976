"""Agreement of an MR and a CT that are to be of one patient."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..core.volume import Volume

LEAST_OVERLAP = 0.92
"""Dice of the bodies within the common field of view."""
CHANCE = 1 / 3
MOST_MIRRORED = 0.92
"""Agreement of the CT's mirror image, as a share of the CT's: from here on, left and right cannot be told apart."""
UNLIKE_MIRRORED = 0.75
"""Such a share up to which a body is so unlike its mirror image that its place is told by less of it, and by fainter
edges: limbs in low-dose CTs are, heads are not."""
LEAST_EDGES, LEAST_EDGES_UNLIKE = 0.72, 0.6
"""Mean squared cosine between the gradients; a third is chance. Like the next ones, chosen so that pairs that fit
(heads of phantoms of every contrast and templates: 0.79 and 0.47 nats at least; limbs: 0.62 and 0.33) pass, and few
others; docs/synthesis.md has the measures of fitting, shifted, mirrored and exchanged pairs."""
LEAST_INFORMATION, LEAST_INFORMATION_UNLIKE = 0.4, 0.32
"""Nats."""
MOST_NEARBY = 1.12
"""Agreement of the CT moved by a few millimetres, as a share of the CT's: from here on, it belongs elsewhere."""
LEAST_COVERED = 0.6
"""Share of the MR's body that the CT shows."""
LEAST_COMMON_ML, LEAST_COMMON_ML_UNLIKE = 2000.0, 400.0
"""Body that both show, about the half of a head. With less, edges and information look as good as ever, but do not
say whether the two fit."""

_MOVES_MM = (-12.0, -6.0, 6.0, 12.0)
_BINS = 48
_SKIN_MM = 7.0


@dataclass(frozen=True)
class Side:
    """One of the two as it is registered.

    Attributes
    ----------
    image
        On an isotropic grid along RAS, finite everywhere.
    body
        (K, J, I) bool.
    there
        (K, J, I) bool, where the original image has voxels: stored obliquely it fills its grid only in part.
    """

    image: Volume
    body: np.ndarray
    there: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """(N, 3) RAS voxel centres of the body."""
        return self.image.grid.to_ras(np.argwhere(self.body)[:, ::-1])


@dataclass(frozen=True)
class PairQuality:
    """Quality of a registered pair.

    Attributes
    ----------
    good
        Whether to use the pair without a look at it; not where the two are wrong, nor where that cannot be judged.
    sentence
        The verdict, for the user.
    information_before, information_after
        Mutual information (nats) of MR and CT where both show the body, as they lay and as they lie now.
    overlap
        Dice of the two bodies within the common field of view.
    edges
        Mean squared cosine of the angle between the gradients of MR and CT where both are steep: 1/3 is chance, 1 every
        edge of one on an edge of the other.
    covered
        Share of the MR's body that lies within the CT's field of view.
    common_ml
        Volume of the MR's body that lies there.
    moved_mm, turned_deg, stretch
        The CT's shift (at the middle of the MR's body), its turn, and the largest stretch.
    ct_to_mr
        4x4, RAS of the CT to RAS of the MR.
    mirror
        Agreement of the CT's mirror image with the MR over that of the CT; NaN where it was not tried.
    nearby
        The best agreement of the CT moved by 6 or 12 mm along R, A or S, over that where it is; NaN where it was not
        tried.
    """

    good: bool
    sentence: str
    information_before: float
    information_after: float
    overlap: float
    edges: float
    covered: float
    common_ml: float
    moved_mm: float
    turned_deg: float
    stretch: float
    ct_to_mr: np.ndarray = field(repr=False)
    mirror: float = float("nan")
    nearby: float = float("nan")

    @property
    def agreement(self) -> float:
        """One number by which transforms of a pair are compared: edges and information, where the bodies overlap."""
        return _agreement(self.overlap, self.edges, self.information_after)


def _agreement(overlap: float, edges: float | None, information: float) -> float:
    return overlap * ((CHANCE if edges is None else edges) + information)


def measured(
    mr: Side, ct: Side, ct_to_mr: np.ndarray, mirror: float = float("nan"), nearby: float = float("nan")
) -> PairQuality:
    """Agreement of the two under a transform.

    Parameters
    ----------
    mr, ct
        The pair.
    ct_to_mr
        4x4, RAS of the CT to RAS of the MR.
    mirror, nearby
        As in `PairQuality`.
    """
    before, after = _Common(mr, ct, np.eye(4)), _Common(mr, ct, ct_to_mr)
    informations = before.information(), after.information()
    overlap, edges = after.overlap(), after.edges()
    middle = mr.points.mean(axis=0)
    back = np.linalg.inv(ct_to_mr)
    left, stretches, right = np.linalg.svd(ct_to_mr[:3, :3])
    turn = left @ right
    degrees = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    shift = float(np.linalg.norm(back[:3, :3] @ middle + back[:3, 3] - middle))
    stretch = float(max(stretches.max(), 1 / stretches.min()))
    unlike = mirror < UNLIKE_MIRRORED
    least_edges = LEAST_EDGES_UNLIKE if unlike else LEAST_EDGES
    least_information = LEAST_INFORMATION_UNLIKE if unlike else LEAST_INFORMATION
    little = []
    if after.covered < LEAST_COVERED:
        little.append(f"the CT shows only {after.covered:.0%} of the body in the MR")
    if after.common_ml < (LEAST_COMMON_ML_UNLIKE if unlike else LEAST_COMMON_ML):
        little.append(f"both show only {after.common_ml / 1000:.1f} litres of the body")
    doubts = []
    if overlap < LEAST_OVERLAP:
        doubts.append(f"the bodies overlap by {overlap:.2f} (Dice) only")
    if edges is None:
        little.append("they have hardly an edge in common")
    elif edges < least_edges:
        doubts.append(f"the edges agree by {edges:.2f} only, where chance is 0.33")
    if informations[1] < least_information:
        doubts.append(f"they share {informations[1]:.2f} nats of information only")
    if informations[1] < informations[0] - 0.01:
        doubts.append("the two fitted each other better before")
    if nearby > MOST_NEARBY:
        doubts.append("they agree better when the CT is moved by 6 or 12 mm")
    if mirror > 1 / MOST_MIRRORED:
        doubts.append("the mirror image of the CT fits better, so that left and right are exchanged in one of them")
    elif mirror > MOST_MIRRORED:
        little.append("the mirror image of the CT fits as well")
    edges = CHANCE if edges is None else edges
    look = "Look at the pair before training on it."
    if doubts:
        sentence = f"The registration may be wrong: {'; '.join([*little, *doubts])}. {look}"
    elif little:
        sentence = f"Whether the registration is right cannot be judged: {'; '.join(little)}. {look}"
    else:
        numbers = f"bodies overlap by {overlap:.2f} (Dice), edges agree by {edges:.2f}, CT moved by {shift:.1f} mm"
        sentence = f"The registration looks good: {numbers}."
    return PairQuality(
        good=not doubts and not little,
        sentence=sentence,
        information_before=informations[0],
        information_after=informations[1],
        overlap=overlap,
        edges=edges,
        covered=after.covered,
        common_ml=after.common_ml,
        moved_mm=shift,
        turned_deg=degrees,
        stretch=stretch,
        ct_to_mr=np.array(ct_to_mr),
        mirror=mirror,
        nearby=nearby,
    )


def nearby_agreement(mr: Side, ct: Side, ct_to_mr: np.ndarray) -> float:
    """The best agreement of the two with the CT moved by some millimetres along one axis."""
    best = 0.0
    for axis in range(3):
        for move in _MOVES_MM:
            moved = np.array(ct_to_mr)
            moved[axis, 3] += move
            best = max(best, _Common(mr, ct, moved).agreement())
    return best


class _Common:
    """MR and CT on the MR's grid, where both have something to show."""

    def __init__(self, mr: Side, ct: Side, ct_to_mr: np.ndarray) -> None:
        matrix, grid = ct_to_mr @ ct.image.ijk_to_ras, mr.image.grid

        def brought(array: np.ndarray) -> np.ndarray:
            return Volume(array.astype(np.float32), matrix).resampled_to(grid, fill=0.0).array

        self.there = mr.there & (brought(ct.there) > 0.99)
        self.mr = mr.image.array
        self.ct = np.where(self.there, brought(ct.image.array), -1000.0)
        self.mr_body = mr.body
        self.ct_body = (brought(ct.body) >= 0.5) & self.there
        self.spacing = float(grid.spacing[0])
        common = int((mr.body & self.there).sum())
        self.covered = common / max(int(mr.body.sum()), 1)
        self.common_ml = common * grid.voxel_volume_mm3 / 1000

    def agreement(self) -> float:
        return _agreement(self.overlap(), self.edges(), self.information())

    def overlap(self) -> float:
        mine = self.mr_body & self.there
        both = mine.sum() + self.ct_body.sum()
        return float(2 * (mine & self.ct_body).sum() / both) if both else 0.0

    def information(self) -> float:
        where = ndimage.binary_dilation(self.mr_body, iterations=2) & self.there
        if where.sum() < 1000:
            return 0.0
        joint, _, _ = np.histogram2d(self.mr[where], self.ct[where], bins=_BINS)
        joint /= joint.sum()
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        used = joint > 0
        return float((joint[used] * np.log(joint[used] / apart[used])).sum())

    def edges(self) -> float | None:
        """None where there are too few."""
        # The skin would agree between two persons; what lies deeper tells them apart.
        body = self.there & self.mr_body & self.ct_body
        inner = ndimage.binary_erosion(body, iterations=max(1, round(_SKIN_MM / self.spacing)))
        slopes = []
        for array in (self.mr, np.clip(self.ct, -1000, 1000)):
            smooth = ndimage.gaussian_filter(array.astype(np.float32), 2.0 / self.spacing)
            slopes.append(np.stack(np.gradient(smooth)))
        steep = [np.sqrt((slope**2).sum(axis=0)) for slope in slopes]
        if inner.sum() < 1000:
            return None
        strong = inner
        for one in steep:
            strong = strong & (one > np.percentile(one[inner], 70))
        if strong.sum() < 100:
            return None
        along = (slopes[0] * slopes[1]).sum(axis=0)[strong]
        return float(((along / (steep[0][strong] * steep[1][strong])) ** 2).mean())
