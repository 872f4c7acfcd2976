"""The task of `sparse-to-precise compare`: two segmentations in files, or many pairs of them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..comparison.definitions import MEASURES, SUPPORTS
from ..core.errors import InputError, in_digits, listing
from ..core.progress import Progress
from .inputs import stem_and_extension
from .outputs import check_outputs, csv_text, table, write_outputs, written
from .task import Argument, Option, Outcome, Task, several_failed

if TYPE_CHECKING:
    from ..comparison.compare import Comparison

_SHOWN = {"dice": "Dice", "mean_mm": "mean\n(mm)", "hd95_mm": "HD95\n(mm)", "difference_mm3": "B - A\n(mm³)"}
_COMMON = {"dice_common": "Dice,\ncommon", "hd95_common_mm": "HD95,\ncommon", "slices_excluded": "slices\nout"}
_FILES = ("a", "b")
_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class Compare(Task):
    """Compare two segmentations: overlap, surfaces, topology, the same on common slices, and where to look.

    A and B are files, or folders whose files of the same name are compared, or A alone is a CSV file with the columns
    a and b. In a batch a pair that cannot be compared does not stop the others. Segments are matched by name, those
    without a name by value. Overlap is taken on the finer of both grids, and what lies beyond a file is background.

    Examples
    --------
    >>> found = Compare(a=Path("ball.seg.nrrd"), b=Path("labels.nii.gz")).run().report["pairs"][0]
    >>> [(row["segment"], row["dice"]) for row in found["segments"]]
    [('Ball', 1.0), ('Slab', 1.0)]
    """

    a: Annotated[Path, Argument("A", "A segmentation or labelmap, a folder of them, or a CSV file of pairs.")]
    b: Annotated[Path | None, Argument("B", "The other one: what A is compared with.")] = None
    image: Annotated[Path | None, Option(help="Image below the picture.", metavar="IMAGE")] = None
    segments: Annotated[
        tuple[str, ...],
        Option(help="Only this segment of A, by name, ID or label value, or NAME=NAME of A and B. Repeatable."),
    ] = ()
    common_support: Annotated[
        str,
        Option(
            help="Measure again on the slices across this axis where both have something. auto: the thickest slices.",
            choices=SUPPORTS,
        ),
    ] = "auto"
    tolerance: Annotated[
        float | None,
        Option(help="For the share of the surfaces within it. Default: the longest side of a voxel.", metavar="MM"),
    ] = None
    tubes: Annotated[bool, Option(help="Compare centre lines, too: clDice and gaps.")] = False
    csv: Annotated[bool, Option(help="Print CSV with all numbers.")] = False
    json: Annotated[bool, Option(help="Print JSON with all numbers, the places and the definitions.")] = False
    picture: Annotated[
        Path | None, Option(help="Draw the largest differences; of a batch, all numbers.", metavar="PNG")
    ] = None
    places: Annotated[
        Path | None, Option(help="Write the places to look at as a point list.", metavar="OUT.mrk.json")
    ] = None

    def run(self, progress: Progress | None = None) -> CompareOutcome:
        """Compare every pair, then write the picture and the places, both or none."""
        from ..core.images import read_image
        from ..pictures.comparison import draw_batch, draw_comparison

        progress = progress or Progress()
        pairs, unpaired, batch = self._pairs()
        self._check(pairs, batch)
        image = None if self.image is None else read_image(self.image)
        outcome = CompareOutcome(task=self, pairs=[], notes=unpaired)
        kept: list[Comparison] = []
        for number, (a, b) in enumerate(pairs):
            part = progress.part(0.9 * number / len(pairs), 0.9 * (number + 1) / len(pairs))
            part(0.0, f"{a.name}: reading")
            try:
                comparisons, notes = self._compared(a, b, part)
            except InputError as error:
                if not batch:
                    raise
                outcome.pairs.append(PairOutcome(a, b, error=str(error)))
                continue
            outcome.pairs.append(PairOutcome(a, b, [_numbers(one) for one in comparisons], notes))
            kept = [] if batch else comparisons
        if all(pair.error for pair in outcome.pairs):
            raise several_failed([pair.error for pair in outcome.pairs], "pairs")
        outcome.report.update(outcome.as_json())
        progress(0.9, "writing")
        write_outputs(
            (
                self.picture,
                (lambda path: draw_batch(path, outcome.rows()))
                if batch
                else lambda path: draw_comparison(path, kept, image),
            ),
            (self.places, lambda path: _write_places(path, kept)),
        )
        progress(1.0, "done")
        return outcome

    def _check(self, pairs: Sequence[tuple[Path, Path]], batch: bool) -> None:
        from ..core.markups import ROI_EXTENSION

        if self.csv and self.json:
            raise InputError("--csv and --json both say what to print; give one of them.")
        if self.image is not None and (self.picture is None or batch):
            raise InputError(f"--image {self.image} is for the --picture of one pair, which is not asked for.")
        if self.places is not None and batch:
            raise InputError(f"--places {self.places} is for one pair, not for {len(pairs)}; leave it out.")
        if self.tolerance is not None and not self.tolerance > 0:
            raise InputError(f"--tolerance {self.tolerance} is not positive; give a length in mm above 0.")
        inputs = [self.a, self.b, self.image, *(path for pair in pairs for path in pair)]
        check_outputs([(self.picture, (".png",)), (self.places, (ROI_EXTENSION,))], inputs)

    def _pairs(self) -> tuple[list[tuple[Path, Path]], list[str], bool]:
        """The pairs of files, sentences on files without a partner, and whether it is a batch."""
        if self.b is None:
            if not self.a.name.lower().endswith(".csv"):
                raise InputError(f"{self.a} is no CSV file of pairs; give a second segmentation to compare it with.")
            return _pairs_of_table(self.a), [], True
        folders = [path.is_dir() for path in (self.a, self.b)]
        if folders == [False, False]:
            return [(self.a, self.b)], [], False
        if folders != [True, True]:
            raise InputError(f"One of {self.a} and {self.b} is a folder and the other is not; give two of a kind.")
        a, b = (_segmentations(path) for path in (self.a, self.b))
        both = [name for name in a if name in b]
        if not both:
            raise InputError(
                f"No file in {self.a} has the name of one in {self.b}; name them alike, or list the pairs."
            )
        alone = [str(path) for one, other in ((a, b), (b, a)) for name, path in one.items() if name not in other]
        notes = [f"Without a partner, and not compared: {listing(alone, _LISTED)}."] if alone else []
        return [(a[name], b[name]) for name in both], notes, True

    def _compared(self, a: Path, b: Path, progress: Progress) -> tuple[list[Comparison], list[str]]:
        from ..comparison.compare import compare_all
        from ..core.images import placement_notes
        from ..mrml.comparison_nodes import read_pairs
        from ..mrml.files import read_segmentation
        from ..mrml.headless import scene

        nodes = []
        try:
            for path in (a, b):
                nodes.append(read_segmentation(path))
                nodes[-1].SetName(str(path))
            pairs = read_pairs(*nodes, self.segments)
            found, notes = compare_all(
                pairs.pairs,
                progress,
                common_support=self.common_support,
                tolerance_mm=self.tolerance,
                tubes=self.tubes,
            )
        except InputError as error:
            sentence = str(error)
            raise InputError(sentence if str(a) in sentence or str(b) in sentence else f"{a}, {b}: {error}") from error
        finally:
            for node in nodes:
                scene().RemoveNode(node)
        return found, [*placement_notes(a, b), *pairs.notes, *notes]


@dataclass(frozen=True)
class PairOutcome:
    """Outcome of a pair of files.

    Attributes
    ----------
    a, b
        The files.
    segments
        A row for each structure: its name, the numbers of `comparison.definitions.MEASURES`, and its places.
    notes
        Sentences for the user.
    error
        Why the pair was not compared; empty where it was.
    """

    a: Path
    b: Path
    segments: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class CompareOutcome(Outcome):
    """Comparisons of all pairs.

    Attributes
    ----------
    task
        What was asked for.
    pairs
        In the order given.
    notes
        Sentences on what was left out of a batch.
    """

    task: Compare
    pairs: list[PairOutcome]
    notes: list[str]

    @property
    def kept(self) -> bool:
        return self.task.picture is not None or self.task.places is not None

    def rows(self) -> list[tuple[PairOutcome, dict[str, Any]]]:
        """Every structure of every pair."""
        return [(pair, row) for pair in self.pairs for row in pair.segments]

    def as_json(self) -> dict[str, Any]:
        """The report: numbers that are not finite are null."""
        return {
            "definitions": {
                name: " ".join(filter(None, (text, unit and f"({unit})"))) for name, (unit, text) in MEASURES.items()
            },
            "pairs": [
                {
                    "a": str(pair.a),
                    "b": str(pair.b),
                    "segments": [{key: _finite(value) for key, value in row.items()} for row in pair.segments],
                    "notes": pair.notes,
                    "error": pair.error or None,
                }
                for pair in self.pairs
            ],
            "notes": self.notes,
        }

    def shown(self) -> list[Any]:
        told = [*self.notes, *(note for pair in self.pairs for note in pair.notes)]
        failed = [f"{pair.a}, {pair.b}: {pair.error}" for pair in self.pairs if pair.error]
        if self.task.json:
            return [json.dumps(self.report, indent=2, ensure_ascii=False)]
        if self.task.csv:
            return [self._as_csv().rstrip("\n")]
        batch = len(self.pairs) > 1
        common = any(row["slices_excluded"] for _, row in self.rows())
        columns = {**_SHOWN, **(_COMMON if common else {})}
        title = f"{len(self.pairs)} pairs" if batch else f"A {self.pairs[0].a.name}, B {self.pairs[0].b.name}"
        texts = ["pair", "segment"] if batch else ["segment"]
        rows = table(title, texts, list(columns.values()), fixed=True)
        for pair, row in self.rows():
            names = [pair.a.name, row["segment"]] if batch else [row["segment"]]
            rows.add_row(*names, *(_cell(key, row[key]) for key in columns))
        places = [] if batch else self._places()
        return [rows, *places, *dict.fromkeys([*told, *failed]), *written(self.task.picture, self.task.places)]

    def _places(self) -> list[Any]:
        listed = [(row["segment"], place) for _, row in self.rows() for place in row["places"]]
        if not listed:
            return []
        rows = table("Where to look", ["segment", "what"], ["R", "A", "S"], fixed=True)
        for name, place in listed[:_LISTED]:
            rows.add_row(name, place["text"], *(in_digits(value, 1) for value in place["ras"]))
        more = len(listed) - _LISTED
        return [rows, *([f"And {more} more places; --json or --places has them all."] if more > 0 else [])]

    def _as_csv(self) -> str:
        names = [*_FILES, "segment", *MEASURES, "error"]
        rows: list[list[Any]] = [names]
        for pair in self.pairs:
            for row in pair.segments or [{}]:
                cells = [row.get(name) for name in ("segment", *MEASURES)]
                cells = [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells]
                rows.append([pair.a, pair.b, *("" if cell is None else cell for cell in cells), pair.error])
        return csv_text(rows)


def _numbers(comparison: Comparison) -> dict[str, Any]:
    places = [
        {
            "kind": place.kind,
            "ras": [round(float(value), 4) for value in place.position],
            "size": float(place.size),
            "unit": place.unit,
            "text": place.text,
        }
        for place in comparison.places
    ]
    return {"segment": comparison.name, **comparison.row(), "places": places}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "–"
    if key == "slices_excluded":
        return f"{100 * value:.0f} %"
    return f"{value:.3f}" if key.startswith("dice") else in_digits(value, 2 if key.endswith("_mm") else 0)


def _segmentations(folder: Path) -> dict[str, Path]:
    """Files of a folder by their name without its extensions, in the order of the names."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem, extension = stem_and_extension(path)
        if not extension or path.name.startswith("."):
            continue
        name = stem.removesuffix(".seg")
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name; remove one.")
        found[name] = path
    if not found:
        raise InputError(f"The folder {folder} holds no segmentations or labelmaps.")
    return found


def _pairs_of_table(path: Path) -> list[tuple[Path, Path]]:
    """The pairs of a CSV file with the columns a and b; paths are relative to its folder."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file ({error}); write one with the columns a and b.") from error
    pairs = []
    for number, row in enumerate(rows, start=2):
        names = [(row.get(column) or "").strip() for column in _FILES]
        if not all(names):
            raise InputError(f"Line {number} of {path} has no a and b; begin the file with a line a,b.")
        pairs.append((path.parent / names[0], path.parent / names[1]))
    if not pairs:
        raise InputError(f"{path} lists no pairs; give it the columns a and b, and a line for each pair.")
    return pairs


def _write_places(path: Path, comparisons: Sequence[Comparison]) -> None:
    from ..mrml.comparison_nodes import show_places
    from ..mrml.files import write_stroke
    from ..mrml.landmark_lists import remove_with_display

    node = show_places(comparisons)
    try:
        write_stroke(node, path)
    finally:
        remove_with_display(node)
