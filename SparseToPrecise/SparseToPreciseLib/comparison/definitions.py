"""Names that a comparison is asked by and answers with; light, so that the command line knows them at its start."""

from __future__ import annotations

AXES = ("I", "J", "K")
"""Names of slices, by the index axis across them."""
SUPPORTS = ("auto", "none", *AXES)
MEASURES = {
    "dice": ("", "2·|A∩B| / (|A|+|B|); both empty 1, one empty 0"),
    "iou": ("", "|A∩B| / |A∪B|; both empty 1, one empty 0"),
    "volume_a_mm3": ("mm³", "voxels of A times their volume, on the common grid"),
    "volume_b_mm3": ("mm³", "the same of B"),
    "difference_mm3": ("mm³", "volume of B less that of A"),
    "inclusion_a_in_b": ("", "share of A that lies in B; 1 where A is empty"),
    "inclusion_b_in_a": ("", "share of B that lies in A; 1 where B is empty"),
    "mean_mm": ("mm", "mean distance of both surfaces to each other, by area; both empty 0, one empty infinite"),
    "rms_mm": ("mm", "root of the mean square of the same distances"),
    "hd95_mm": ("mm", "the larger one of both directions' 95th percentiles, by area"),
    "max_mm": ("mm", "the largest distance of either surface to the other (Hausdorff)"),
    "tolerance_mm": ("mm", "the tolerance of the next column"),
    "within_tolerance": ("", "share of both surfaces' area within the tolerance of the other; both empty 1, one 0"),
    "components_a": ("", "pieces of A that touch nowhere (26-connected)"),
    "components_b": ("", "the same of B"),
    "tunnels_a": ("", "tunnels through A: components + cavities − Euler number"),
    "tunnels_b": ("", "the same of B"),
    "cavities_a": ("", "hollows closed in by A (6-connected background)"),
    "cavities_b": ("", "the same of B"),
    "cldice": ("", "harmonic mean of the next two; only for tubes"),
    "t_prec": ("", "share of A's centre line that lies in B; 1 where A is empty"),
    "t_sens": ("", "share of B's centre line that lies in A; 1 where B is empty"),
    "support": ("", "the axis across whose slices the common support is taken; empty where none was wanted"),
    "slices_excluded": ("", "share of the slices with A or B on which one of them has nothing, and which are left out"),
    "dice_common": ("", "dice on the other slices; empty where none is left"),
    "iou_common": ("", "iou on the other slices"),
    "mean_common_mm": ("mm", "mean_mm on the other slices"),
    "hd95_common_mm": ("mm", "hd95_mm on the other slices"),
}
"""Columns of a comparison's row: unit and definition."""
