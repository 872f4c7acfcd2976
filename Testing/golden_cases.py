"""What the goldens pin: commands on small cases, the shipped bundles, users' bundles, the first steps of training.

Everything runs through what users rely on: the command line, configs of bundles parsed as MONAI does it, and files read
by SimpleITK. What the library is inside may change without a change here.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "Testing" / "golden"
BUNDLES = GOLDEN / "bundles"
SHIPPED = ROOT / "SparseToPrecise" / "Resources" / "Models"

MASKED = {"timings", "seconds", "minutes", "versions", "lastUsedControlPointNumber"}
"""Keys of reports whose values differ from run to run or from computer to computer."""
LPS = np.array([-1.0, -1.0, 1.0])
CENTRE = np.array([5.0, -8.0, 12.0])  # RAS, mm


# ---------------------------------------------------------------------------------------------- comparison


def differences(golden: Any, found: Any, *, exact: bool, relative: float = 1e-3, absolute: float = 1e-2) -> list[str]:
    """Where what was found differs from a golden.

    Parameters
    ----------
    golden, found
        JSON's types. "sha256" of a dict counts only if `exact`, and so do the numbers within "text".
    exact
        Numbers must be the same, instead of near ones.
    """

    def wrong(golden: Any, found: Any, path: str) -> Iterator[str]:
        if isinstance(golden, dict) and isinstance(found, dict):
            for key in sorted(golden.keys() ^ found.keys()):
                yield f"{path}/{key} is only in {'the golden' if key in golden else 'what was found'}"
            for key in golden.keys() & found.keys():
                if exact or key != "sha256":
                    yield from wrong(golden[key], found[key], f"{path}/{key}")
        elif isinstance(golden, list) and isinstance(found, list):
            if len(golden) != len(found):
                yield f"{path} has {len(found)} entries, not {len(golden)}: {found} instead of {golden}"
            for number, pair in enumerate(zip(golden, found, strict=False)):
                yield from wrong(*pair, f"{path}/{number}")
        elif not exact and _is_number(golden) and _is_number(found):
            if not math.isclose(golden, found, rel_tol=relative, abs_tol=absolute):
                yield f"{path} is {found}, not about {golden}"
        elif not exact and isinstance(golden, str) and isinstance(found, str):
            if _without_numbers(golden) != _without_numbers(found):
                yield f"{path} is {found!r}, not {golden!r}"
        elif type(golden) is not type(found) or golden != found:
            yield f"{path} is {found!r}, not {golden!r}"

    return list(wrong(golden, found, ""))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _without_numbers(text: str) -> str:
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)


# ---------------------------------------------------------------------------------------------- what is written


class Work:
    """A folder with files, in which commands run in this process, and descriptions of what they leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code and words of a command, as they are; nothing of the user's own counts."""
        from SparseToPreciseLib.cli.main import run

        out, error = io.StringIO(), io.StringIO()
        (self.folder / "models").mkdir(exist_ok=True)
        changes = {"COLUMNS": "300", "SPARSE_TO_PRECISE_MODELS": str(self.folder / "models"), "NO_COLOR": "1"}
        with _environment(changes), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = run([str(argument) for argument in arguments])
        return code, out.getvalue(), error.getvalue()

    def says(self, *arguments: object) -> dict[str, Any]:
        """The same to compare."""
        code, out, error = self.run(*arguments)
        return {"code": code, "text": self.plain(out), "error": self.plain(error)}

    def plain(self, text: str) -> list[str]:
        """Lines without places on this disk, times, and the spaces and frames of tables."""
        for place, name in ((self.folder, "FOLDER"), (SHIPPED, "SHIPPED"), (BUNDLES, "BUNDLES"), (ROOT, "ROOT")):
            text = text.replace(str(place), name)
        text = re.sub(r"\d+(\.\d+)? (s|ms|seconds|minutes)\b", r"* \2", text)
        lines, timed = [], False
        for line in text.splitlines():
            line = re.sub(r"[\s─━│┃┏┓┗┛┡┩└┘├┤┬┴┼╇╈┳┻]+", " ", line).strip()
            if timed:  # the last numbers of a table's rows
                line = re.sub(r" \d+\.\d+(?= \d+ warning|$)", " *", line)
            timed = timed or " seconds" in line
            lines += [line] if line else []
        return lines

    def described(self, name: str) -> Any:
        """What is in a file, or in every file of a folder."""
        path = self.folder / name
        if not path.exists():
            return "absent"
        if path.is_dir():
            return {one.name: self.described(f"{name}/{one.name}") for one in sorted(path.iterdir())}
        if path.suffix == ".json":
            return self.masked(json.loads(path.read_text(encoding="utf-8")))
        if path.suffix == ".csv":
            with open(path, newline="", encoding="utf-8") as file:
                return [[_number(cell) for cell in row] for row in csv.reader(file)]
        if path.suffix == ".png":
            from matplotlib.image import imread

            pixels = imread(path)
            return {"shape": list(pixels.shape), "sha256": _hash(pixels)}
        return _volume(path)

    def masked(self, content: Any) -> Any:
        """A report without what differs from run to run; the keys stay."""
        if isinstance(content, dict):
            return {key: _stars(value) if key in MASKED else self.masked(value) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self.masked(value) for value in content]
        return "\n".join(self.plain(content)) if isinstance(content, str) else content


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _stars(value: Any) -> Any:
    return {key: _stars(one) for key, one in value.items()} if isinstance(value, dict) else "*"


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _volume(path: Path) -> dict[str, Any]:
    """Geometry and values of an image, labelmap or segmentation, robust ones beside the hash."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    found: dict[str, Any] = {
        "sha256": _hash(array),
        "type": image.GetPixelIDTypeAsString(),
        "size": list(image.GetSize()),
        "spacing": _rounded(image.GetSpacing()),
        "origin": _rounded(image.GetOrigin()),
        "direction": _rounded(image.GetDirection()),
    }
    segments = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if re.match(r"Segment\d+_", key)}
    if segments:
        found["segments"] = {key: value for key, value in sorted(segments.items()) if not key.endswith("Extent")}
    if array.dtype.kind in "iu" and len(values := np.unique(array)) <= 8:
        found["labels"] = {str(value): _where(image, array == value) for value in values if value}
    else:
        numbers = array.astype(np.float64)
        found |= {"mean": numbers.mean(), "deviation": numbers.std()}
        found["percentiles"] = np.percentile(numbers, [1, 25, 50, 75, 99]).tolist()
    return found


def _where(image: sitk.Image, inside: np.ndarray) -> dict[str, Any]:
    """Count, centre and bounds (RAS, mm) of voxels."""
    index = np.argwhere(inside)[:, ::-1]
    matrix = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    points = (index @ matrix.T + image.GetOrigin()) * LPS
    sides = [points.min(axis=0), points.max(axis=0)]
    return {"voxels": len(index), "centre": _rounded(points.mean(axis=0)), "bounds": [_rounded(side) for side in sides]}


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 5) + 0.0 for value in values]


# ---------------------------------------------------------------------------------------------- cases


def turn(degrees: float, axis: tuple[float, float, float] = (1.0, 2.0, 3.0)) -> np.ndarray:
    """A rotation."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A cube of voxels around a place; `axes` has the directions of I, J and K as columns, in RAS."""

    centre: np.ndarray
    spacing: float
    count: int
    axes: np.ndarray = dataclasses.field(default_factory=lambda: np.diag([-1.0, -1.0, 1.0]))

    def points(self) -> np.ndarray:
        """(K, J, I, 3) RAS, mm."""
        steps = (np.arange(self.count) - (self.count - 1) / 2) * self.spacing
        k, j, i = np.meshgrid(steps, steps, steps, indexing="ij")
        return np.stack([i, j, k], axis=-1) @ self.axes.T + self.centre

    def write(self, path: Path, array: np.ndarray) -> Path:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([self.spacing] * 3)
        image.SetDirection((self.axes * LPS[:, None]).ravel().tolist())
        image.SetOrigin((self.points()[0, 0, 0] * LPS).tolist())
        sitk.WriteImage(image, str(path))
        return path


def write_markup(path: Path, kind: str, points: Mapping[str, np.ndarray], **more: Any) -> Path:
    """A Markups file as Slicer writes it; points are RAS in mm."""
    control = [
        {"id": str(number), "label": label, "position": np.asarray(point).tolist(), "positionStatus": "defined"}
        for number, (label, point) in enumerate(points.items(), start=1)
    ]
    markup = {"type": kind, "coordinateSystem": "RAS", "controlPoints": control, **more}
    path.write_text(json.dumps({"markups": [markup]}))
    return path


def _edge(depth: np.ndarray, softness: float = 0.5) -> np.ndarray:
    return 1 / (1 + np.exp(-depth / softness))


def write_ball(work: Work) -> None:
    """A ball with a dent (label 3) and a cube beside it (7), on an oblique grid; two strokes on the true boundary."""
    lattice = Lattice(CENTRE, 1.5, 36, turn(20))
    points = lattice.points()
    depth = 18 - np.linalg.norm(points - CENTRE, axis=-1)
    image = 100 * _edge(depth, 1.0) + 4 * np.sin(points @ (0.9, 0.5, 0.0)) * np.cos(points[..., 2])
    lattice.write(work / "image.nrrd", image.astype(np.float32))
    dented = (depth > 0) & (np.linalg.norm(points - CENTRE - [18, 0, 0], axis=-1) > 8)
    labels = np.where(dented, 3, 0)
    labels[(labels == 0) & (np.abs(points - CENTRE - [0, 0, -23]).max(axis=-1) < 4)] = 7
    lattice.write(work / "labels.nrrd", labels.astype(np.int16))
    lattice.write(work / "ball.nrrd", dented.astype(np.uint8))
    for name, (first, last) in {"stroke": (-24, 24), "second": (40, 70)}.items():
        angles = np.radians(np.linspace(first, last, 9))
        arc = CENTRE + 18 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1) + [0, 0, 1.0]
        write_markup(work / f"{name}.mrk.json", "Curve", {f"C-{n}": point for n, point in enumerate(arc)})


def write_object(work: Work) -> None:
    """A bright ellipsoid in textured surroundings, its mask, and a loose box around it."""
    lattice = Lattice(CENTRE, 1.5, 44, np.eye(3))
    points = lattice.points()
    radii = np.array([9.0, 12.0, 15.0])
    depth = (1 - np.linalg.norm((points - CENTRE) / radii, axis=-1)) * 12
    image = 100 * _edge(depth) + 6 * np.sin(points @ (0.9, 0.5, 0.2)) * np.cos(points[..., 2])
    lattice.write(work / "image.nrrd", image.astype(np.float32))
    lattice.write(work / "mask.nrrd", (depth > 0).astype(np.uint8))
    box = {"center": (CENTRE + [1.5, -2.0, -0.5]).tolist(), "size": (2 * radii + [13, 14, 15]).tolist()}
    frame = {"orientation": np.eye(3).ravel().tolist(), "roiType": "Box", "insideOut": False}
    write_markup(work / "loose.mrk.json", "ROI", {"R-1": box["center"]}, **box, **frame)


def write_head(work: Work) -> None:
    """An MR of something like a small head, and its CT."""
    lattice = Lattice(CENTRE, 3.0, 36)
    points = lattice.points()
    depth = (1 - np.linalg.norm((points - CENTRE) / [34, 42, 38], axis=-1)) * 38
    x, y, z = np.moveaxis(points, -1, 0)
    brain = 600 + 120 * np.sin(x / 6 + 0.5) * np.cos(y / 7) + 60 * np.sin(z / 5)
    mr, ct = np.full(depth.shape, 20.0), np.full(depth.shape, -1000.0)
    for level, bright, hu in ((0, 900, -80), (5, 60, 900), (11, brain, 35)):
        share = _edge(depth - level, 0.8)
        mr, ct = mr + (bright - mr) * share, ct + (hu - ct) * share
    lattice.write(work / "mr.nrrd", mr.astype(np.float32))
    lattice.write(work / "true-ct.nrrd", ct.astype(np.int16))


BALLS = (((0.0, 0.0, 0.0), 7.0), ((9.0, 2.0, 0.0), 5.0), ((14.0, 6.0, -6.0), 3.5), ((-2.0, 7.0, 6.0), 4.0))
POINTS = {"big": (-4.5, -5.0, -2.0), "tip": (17.0, 7.0, -7.0), "horn": (-3.0, 10.0, 8.0)}
SHAPE_AT = np.array([4.0, -6.0, 11.0])


def write_shape(work: Work) -> None:
    """The shape that the template of landmarks in `BUNDLES` knows: with landmarks and mask, and turned elsewhere."""
    poses = {"ref": (np.eye(3), SHAPE_AT), "target": (turn(35, (1, 2, -1)), np.array([-9.0, 5.0, 4.0]))}
    for number, (name, (pose, at)) in enumerate(poses.items()):
        lattice = Lattice(at, 1.5, 36, np.eye(3))
        own = (lattice.points() - at) @ pose
        depth = np.max([radius - np.linalg.norm(own - centre, axis=-1) for centre, radius in BALLS], axis=0)
        noise = 4 * np.random.default_rng(number).normal(size=depth.shape)
        lattice.write(work / f"{name}.nrrd", (100 + 90 * _edge(depth) + noise).astype(np.float32))
        lattice.write(work / f"{name}-soi.nrrd", (depth > 0).astype(np.uint8))
        landmarks = {label: at + pose @ np.array(point) for label, point in POINTS.items()}
        write_markup(work / f"{name}-points.mrk.json", "Fiducial", landmarks)


# ---------------------------------------------------------------------------------------------- commands

CPU = ("--device", "cpu", "--progress", "none")


def edit(work: Work) -> dict[str, Any]:
    """Shipped model and warps, labelmaps and segmentations, one stroke and two."""
    write_ball(work)
    given = ("edit", work / "image.nrrd", work / "labels.nrrd")
    label = ("--segment", "3", *CPU)
    one, two = (work / "stroke.mrk.json",), (work / "stroke.mrk.json", work / "second.mrk.json")
    more = ("--report", work / "r.json", "--picture", work / "p.png")
    seg = ("edit", work / "image.nrrd", work / "o.seg.nrrd", work / "second.mrk.json", "-o", work / "again.seg.nrrd")
    said = {
        "a labelmap": work.says(*given, *one, *label, *more, "-o", work / "o.nrrd"),
        "to a segmentation": work.says(*given, *one, *label, "-o", work / "o.seg.nrrd"),
        "a segmentation": work.says(*seg, *label, "--influence-radius", 9, "--model", "image-aware-warp"),
        "two strokes": work.says(
            *given, *two, *label, "--influence-radius", 12, "--model", "image-aware-warp", "-o", work / "two.nii.gz"
        ),
        "later over earlier": work.says(
            *given, *two, *label, "--model", "signed-distance-warp", "--no-keep-earlier-edits", "-o", work / "free.mha"
        ),
        "several segments": work.says(*given, *one, *CPU, "-o", work / "x.nrrd"),
    }
    names = ("o.nrrd", "o.seg.nrrd", "again.seg.nrrd", "two.nii.gz", "free.mha", "r.json", "p.png")
    return {"said": said, "files": {name: work.described(name) for name in names}}


def box(work: Work) -> dict[str, Any]:
    """Tighten, segment and evaluate, with the shipped models."""
    write_object(work)
    given, roi = work / "image.nrrd", work / "loose.mrk.json"
    slices = ("--slices-csv", work / "s.csv", "--slices-segmentation", work / "s.nrrd")
    more = ("--report", work / "t.json", "--picture", work / "t.png", "--margin", 1)
    bounds = ("--bounds-ras", -11, 21, -27, 8, -10, 34, "--axis", "I")
    seen = ("--report", work / "s.json", "--picture", work / "s.png")
    said = {
        "tighten": work.says("box", "tighten", given, roi, *slices, *more, *CPU, "-o", work / "tight.mrk.json"),
        "tighten more": work.says(
            "box", "tighten", given, *bounds, "--coverage", 0.9, *CPU, "-o", work / "tighter.mrk.json"
        ),
        "segment": work.says("box", "segment", given, roi, *seen, *CPU, "-o", work / "o.seg.nrrd"),
        "segment tightened": work.says(
            "box", "segment", given, roi, "--tighten-first", "--coverage", 0.9, *CPU, "-o", work / "o.nrrd"
        ),
    }
    for name in ("loose.mrk.json", "tight.mrk.json", "s.nrrd", "o.nrrd"):
        said[f"evaluate {name}"] = work.says("box", "evaluate", work / name, work / "mask.nrrd", "--csv")
    said["evaluate in a table"] = work.says("box", "evaluate", work / "o.seg.nrrd", work / "mask.nrrd")
    names = ("tight.mrk.json", "tighter.mrk.json", "s.csv", "s.nrrd", "t.json", "t.png", "o.seg.nrrd", "o.nrrd")
    return {"said": said, "files": {name: work.described(name) for name in (*names, "s.json", "s.png")}}


def synthesis(work: Work) -> dict[str, Any]:
    """Everything that a synthesis with the shipped model can write, and its comparison with a true CT."""
    write_head(work)
    maps = ("--uncertainty", work / "u.nrrd", "--bands", work / "band", "--classes", work / "c.seg.nrrd")
    more = ("--report", work / "r.json", "--picture", work / "p.png", "--tile", 48)
    compared = ("--error-map", work / "e.nrrd", "--json", work / "e.json", "--progress", "none")
    said = {
        "synthesize": work.says("synthesize", work / "mr.nrrd", "-o", work / "ct.nrrd", *maps, *more, *CPU),
        "evaluate": work.says("synthesize-evaluate", work / "ct.nrrd", work / "true-ct.nrrd", *compared),
    }
    bands = [f"band-{band}.nrrd" for band in ("low", "high", "probability")]
    names = ("ct.nrrd", "u.nrrd", *bands, "c.seg.nrrd", "r.json", "p.png", "e.nrrd", "e.json")
    return {"said": said, "files": {name: work.described(name) for name in names}}


def landmarks(work: Work) -> dict[str, Any]:
    """Detect with a template that knows the shape, and compare with the truth."""
    write_shape(work)
    detect = ("landmarks", "detect", BUNDLES / "landmarks", work / "target.nrrd", *CPU)
    more = ("--report", work / "r.json", "--picture", work / "p.png")
    stages = ("--stages", "localize,pose", "--seed-point", "-9,5,4", "-o", work / "few")
    found, truth = work / "out" / "target.mrk.json", work / "target-points.mrk.json"
    said = {
        "detect": work.says(*detect, *more, "-o", work / "out"),
        "some stages": work.says(*detect, *stages),
        "evaluate": work.says("landmarks", "evaluate", found, truth, "--csv", work / "e.csv"),
    }
    return {"said": said, "files": {name: work.described(name) for name in ("out", "few", "r.json", "p.png", "e.csv")}}


def demo(work: Work) -> dict[str, Any]:
    """The demonstration."""
    return {"said": work.says("demo", "--output", work / "demo", "--progress", "none"), "files": work.described("demo")}


def models(work: Work) -> dict[str, Any]:
    """What `models` says of shipped bundles and of users' own."""
    (work / "models").mkdir()
    said = {}
    for name in sorted(path.name for path in BUNDLES.iterdir()):
        shutil.copytree(BUNDLES / name, work / "models" / f"own-{name}")
    for name in sorted(path.parent.parent.name for path in SHIPPED.glob("*/configs/metadata.json")):
        said[name] = [work.says("models", verb, name) for verb in ("verify", "show")]
    for name in sorted(path.name for path in BUNDLES.iterdir()):
        said[f"own-{name}"] = [work.says("models", verb, f"own-{name}") for verb in ("verify", "show")]
    return {"list": work.says("models", "list"), "said": said, "absent": work.says("models", "verify", "nobodys")}


# ---------------------------------------------------------------------------------------------- help


def commands(work: Work) -> dict[str, Any]:
    """By command: its line of usage, the names of its options, and its subcommands, read from --help."""
    found: dict[str, Any] = {}

    def walk(*command: str) -> None:
        code, text, _ = work.run(*command, "--help")
        assert code == 0, text
        options: list[str] = []
        below: list[str] = []
        section = ""
        for line in text.splitlines():
            if re.fullmatch(r"\w+:", line):
                section = line
            elif section == "Options:" and line.startswith("  -"):
                options += re.findall(r"--?[a-zA-Z][\w-]*", re.split(r"  +", line.strip())[0])
            elif section == "Commands:" and re.match(r"  \w", line):
                below.append(line.split()[0])
        (usage,) = [line for line in text.splitlines() if line.startswith("Usage:")]
        found[" ".join(command)] = {"usage": usage, "options": sorted(options), "commands": sorted(below)}
        for name in below:
            walk(*command, name)

    walk()
    return found


# ---------------------------------------------------------------------------------------------- configs of bundles

RENAMED: dict[str, str] = {}
"""Present names of fields of recipes (dotted) to those in the goldens, after a field has moved."""

IDS: dict[str, str] = {}
"""Names of values in configs/train.json (MONAI's ids), as they stand below, to present ones."""


def _parser(folder: Path, name: str) -> Any:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / name))
    return parser


def _fields(value: Any, name: str = "") -> dict[str, Any]:
    """The values of a recipe by dotted names; classes do not matter."""
    if dataclasses.is_dataclass(value):
        found: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            dotted = f"{name}.{field.name}".lstrip(".")
            found |= _fields(getattr(value, field.name), dotted)
        return found
    return {RENAMED.get(name, name): json.loads(json.dumps(value))}


def _inputs(folder: Path) -> dict[str, Any]:
    """What a user may set in configs/inference.json, with its defaults; what it is run by."""
    config = json.loads((folder / "configs" / "inference.json").read_text(encoding="utf-8"))
    asked = {key: value for key, value in config.items() if not isinstance(value, dict) or "_target_" not in value}
    return {"asked": asked, "run": config.keys() >= {"inferring"}, "network": "network_def" in config}


def configs(work: Work) -> dict[str, Any]:
    """Of shipped bundles and users': all metadata, the recipe as values, the inputs of inference."""
    found = {}
    for root in (SHIPPED, BUNDLES):
        for folder in sorted(path.parent.parent for path in root.glob("*/configs/metadata.json")):
            metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
            entry = {"metadata": metadata, "inference": _inputs(folder)}
            if folder.name != "landmarks":  # whose train.json only tells
                entry["recipe"] = _fields(_parser(folder, "train.json").get_parsed_content("recipe"))
            found[f"{root.name}/{folder.name}"] = entry
    return found


# ---------------------------------------------------------------------------------------------- users' bundles


def _infers(work: Work, name: str, **given: Any) -> None:
    """Run a bundle's configs/inference.json."""
    parser = _parser(BUNDLES / name, "inference.json")
    for key, value in {"bundle_root": str(BUNDLES / name), "device": "cpu", **given}.items():
        parser[key] = [str(one) for one in value] if isinstance(value, list) else str(value)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        parser.get_parsed_content("inferring")
    if name == "landmarks":
        (work / "found.csv").write_text(out.getvalue(), encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Use:
    """How a bundle is used; names of files are those within a folder.

    Attributes
    ----------
    write
        Makes the input.
    command
        For the command line; "@name" is a file.
    launched
        Files by the names of configs/inference.json.
    written
        What comes of both.
    """

    write: Callable[[Work], None]
    command: tuple[str, ...]
    launched: dict[str, Any]
    written: tuple[str, ...]


USES = {
    "editing": Use(
        write_ball,
        ("edit", "@image.nrrd", "@labels.nrrd", "@stroke.mrk.json", "--segment", "3", "-o", "@o.nrrd"),
        {"image": "image.nrrd", "segmentation": "ball.nrrd", "strokes": ["stroke.mrk.json"], "output": "l.nrrd"},
        ("o.nrrd", "l.nrrd", "r.json"),
    ),
    "boxes-corrector": Use(
        write_object,
        ("box", "tighten", "@image.nrrd", "@loose.mrk.json", "-o", "@o.mrk.json"),
        {"image": "image.nrrd", "roi": "loose.mrk.json", "output": "l.mrk.json"},
        ("o.mrk.json", "l.mrk.json", "r.json"),
    ),
    "boxes-segmenter": Use(
        write_object,
        ("box", "segment", "@image.nrrd", "@loose.mrk.json", "-o", "@o.nrrd"),
        {"image": "image.nrrd", "roi": "loose.mrk.json", "output": "l.nrrd"},
        ("o.nrrd", "l.nrrd", "r.json"),
    ),
    "synthesis": Use(
        write_head,
        ("synthesize", "@mr.nrrd", "-o", "@o.nrrd"),
        {"mr": "mr.nrrd", "output": "l.nrrd"},
        ("o.nrrd", "l.nrrd", "r.json"),
    ),
    "landmarks": Use(write_shape, (), {"target": "target.nrrd"}, ("found.csv",)),  # `landmarks` has the command
}


def bundle(work: Work, name: str) -> dict[str, Any]:
    """What a bundle of an earlier version does, by the command line and by its own configs/inference.json."""
    use = USES[name]
    use.write(work)
    found = {}
    if use.command:
        command = [work / part[1:] if part.startswith("@") else part for part in use.command]
        found["said"] = work.says(*command, "--report", work / "r.json", "--model", BUNDLES / name, *CPU)
    places = {
        key: [work / one for one in file] if isinstance(file, list) else work / file
        for key, file in use.launched.items()
    }
    _infers(work, name, **places)
    return found | {"files": {file: work.described(file) for file in use.written}}


# ---------------------------------------------------------------------------------------------- training

def _unet(dimensions: int, channels: int) -> dict[str, Any]:
    arguments = {"spatial_dims": dimensions, "in_channels": channels, "out_channels": 1}
    return {"name": "UNet", "arguments": arguments | {"channels": [4, 8], "strides": [2]}}


FEW = {"minutes": None, "steps": 3, "validations": 3, "phantoms": 1, "validation_phantoms": 1, "batch_size": 1}
FEW |= {"bfloat16": False, "device": "cpu"}
TINY: dict[str, dict[str, Any]] = {
    "editing": {
        "simulation::segmenter_share": 0,
        "simulation::edits_per_phantom": 1,
        "simulation::phantom_size": 64,
        "workers": 0,
        "network": _unet(3, 6),
    },
    "boxes-corrector": {"sampling::view::side": 48, "patch": 16, "calibration_boxes": 2, "network": _unet(3, 9)},
    "boxes-segmenter": {"sampling::side": 32, "sampling::planes": 3, "network": _unet(2, 9)},
    "synthesis": {
        "spacing_mm": 6.0,
        "tile": 32,
        "sampling::patch": 32,
        "network::arguments::backbone::arguments::features": [4, 4, 4, 4, 4, 4],
        "network::arguments::head::arguments::kernel": 3,
    },
}
"""What differs from the shipped recipes, so that a few steps take seconds."""


def trained(work: Work, family: str) -> dict[str, Any]:
    """The log of the first steps of a family's training, and the weights that it leaves."""
    if family == "landmarks":
        write_shape(work)
        given = (work / "ref.nrrd", work / "ref-points.mrk.json", "--soi", work / "ref-soi.nrrd")
        told = work.says("landmarks", "train", *given, "--steps", 3, "-o", work / "new", *CPU)
        assert told["code"] == 0, told
    else:
        parser = _parser(SHIPPED / family, "train.json")
        more = {"cache": str(work / "cache")} if family == "editing" else {}
        for key, value in {**FEW, **TINY[family], **more, "output": str(work / "new")}.items():
            parser[IDS.get(key, key)] = value
        with contextlib.redirect_stdout(io.StringIO()):
            parser.get_parsed_content("training")
    import torch

    weights = torch.load(work / "new" / "models" / "model.pt", weights_only=True)
    with open(work / "new" / "docs" / "log.csv", newline="", encoding="utf-8") as file:
        rows = [{key: value for key, value in row.items() if key != "minutes"} for row in csv.DictReader(file)]
    log = [{key: None if value == "nan" else float(value) for key, value in row.items()} for row in rows]
    metadata = json.loads((work / "new" / "configs" / "metadata.json").read_text(encoding="utf-8"))
    files = sorted(path.relative_to(work / "new").as_posix() for path in (work / "new").rglob("*") if path.is_file())
    return {
        "log": log,
        # Biases before a normalisation are steps along the rounding errors of their gradients: nothing robust in them.
        "weights": {"sha256": {name: _hash(value.numpy()) for name, value in weights.items()}},
        "metadata": sorted(metadata),
        "parameters": sorted(metadata["parameters"]),
        "training": sorted(metadata["training"]),
        "files": files,
    }


COMMANDS = {"commands": commands, "configs": configs, "models": models, "edit": edit, "box": box}
COMMANDS |= {"synthesis": synthesis, "landmarks": landmarks, "demo": demo}
NAMES = (*COMMANDS, *(f"{what}-{family}" for what in ("bundle", "train") for family in USES))


def observed(name: str, folder: Path) -> Any:
    """What a golden of that name is of now, worked out in an empty folder."""
    what, _, family = name.partition("-")
    work = Work(folder)
    # Full precision on every computer: bfloat16 is for those that are fast in it, and rounds differently.
    with mock.patch("torch.backends.cpu.get_cpu_capability", lambda: "AVX2"):
        found = COMMANDS[name](work) if name in COMMANDS else {"bundle": bundle, "train": trained}[what](work, family)
    return json.loads(json.dumps(found))
