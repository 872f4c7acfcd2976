"""Real anatomy to train on: tables, roles, cubes; on small folders made here, and on the shipped bundles' sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edit_cases import rotation
from scipy import ndimage

from SparseToPreciseLib.anatomy.cases import (
    AnatomyCubes,
    Variation,
    linear_values,
    nearest_values,
    structures_of,
)
from SparseToPreciseLib.anatomy.deformation import Deformation, placed_cube
from SparseToPreciseLib.anatomy.looks import random_look
from SparseToPreciseLib.anatomy.pairs import ct_pairs, ct_rows
from SparseToPreciseLib.anatomy.table import ROLES, may_ship, read_table, split, with_role
from SparseToPreciseLib.core.bundles import find_bundles
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.images import write_image
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.families import FAMILIES

SPACING = (1.0, 1.2, 2.5)


def oblique(spacing: tuple[float, float, float] = SPACING, shape: tuple[int, int, int] = (24, 40, 44)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, 3), 25) @ np.diag(spacing) @ np.diag((-1, 1, 1))
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2 + (5, -7, 11)
    return matrix


def two_balls(matrix: np.ndarray, shape: tuple[int, int, int] = (24, 40, 44), scale: float = 1.0) -> Volume:
    """Labels 1 and 2: balls of 9 and 6 mm (times `scale`) that touch."""
    points = Grid(shape, matrix).points_ras() - np.array((5, -7, 11))
    labels = np.zeros(shape, np.uint8)
    labels[np.linalg.norm(points, axis=-1) < 9 * scale] = 1
    labels[np.linalg.norm(points - np.array((12, 0, 0)) * scale, axis=-1) < 6 * scale] = 2
    return Volume(labels, matrix)


def folder_of(folder: Path, table: str | None = None, matrix: np.ndarray | None = None, scale: float = 1.0) -> Path:
    """A folder with one case with an image (bright where label 1 is) and one label map alone."""
    folder.mkdir(exist_ok=True)
    labels = two_balls(oblique() if matrix is None else matrix, scale=scale)
    write_image(labels, folder / "a_labels.nrrd")
    write_image(labels.with_array(np.array([10, 200, 90], np.int16)[labels.array]), folder / "a.nrrd")
    other = ndimage.binary_dilation(labels.array == 1).astype(np.uint8)
    write_image(labels.with_array(other), folder / "a_other.nrrd")
    default = "name\timage\tlabel\tother_label\tsource\tlicence\na\ta.nrrd\ta_labels.nrrd\ta_other.nrrd\there\tCC0\n"
    default += "b\t\ta_labels.nrrd\t\t\t\n"
    (folder / "table.tsv").write_text(table or default)
    return folder


def third_of_size(rng: np.random.Generator, structure, grid: Grid) -> float:
    return structure.size_mm / 12


class TestTable:
    def test_rows(self, tmp_path: Path) -> None:
        first, second = read_table(folder_of(tmp_path / "own"))
        assert (first.name, first.source, first.licence, first.role) == ("a", "here", "CC0", "train")
        assert first.image == tmp_path / "own" / "a.nrrd" and first.other_label.name == "a_other.nrrd"
        assert (second.source, second.image, second.ct) == ("own", None, None)

    @pytest.mark.parametrize(
        ("table", "sentence"),
        [
            ("name\timage\na\ta.nrrd\n", "no column 'label'"),
            ("\n", "no column 'name'"),
            ("name\tlabel\na\tgone.nrrd\n", "gone.nrrd, which is not there"),
            ("name\tlabel\trole\na\ta_labels.nrrd\tteach\n", "gives a the role 'teach'"),
            ("name\tlabel\na\ta_labels.nrrd\na\ta_labels.nrrd\n", "two cases of the name 'a'"),
            ("name\tlabel\na\t\n", "without a name or without a label"),
        ],
    )
    def test_refused(self, tmp_path: Path, table: str, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            read_table(folder_of(tmp_path / "own", table))

    def test_no_table(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no readable table.tsv"):
            read_table(tmp_path)

    def test_a_byte_order_mark_is_not_part_of_the_first_name(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path / "own")
        (folder / "table.tsv").write_text((folder / "table.tsv").read_text(), encoding="utf-8-sig")
        assert [row.name for row in read_table(folder)] == ["a", "b"]

    def test_a_fifth_is_held_back_where_the_table_has_no_validation(self, tmp_path: Path) -> None:
        lines = "".join(f"case{number}\ta_labels.nrrd\n" for number in range(10))
        rows = read_table(folder_of(tmp_path / "own", "name\tlabel\n" + lines))
        training, validation = with_role(rows, "train"), with_role(rows, "validate")
        assert len(training) == 8 and len(validation) == 2
        assert not {row.name for row in training} & {row.name for row in validation}

    def test_the_committed_list_decides_on_its_cases(self, tmp_path: Path) -> None:
        name = next(name for name, line in split().items() if line["role"] == "test" and not line["label"])
        rows = read_table(folder_of(tmp_path / "own", f"name\tlabel\trole\n{name}\ta_labels.nrrd\ttrain\n"))
        assert rows[0].role == "test" and rows[0].source == split()[name]["source"]


class TestSplit:
    def test_sources_for_tests_are_whole(self) -> None:
        roles = {line["role"] for line in split().values()}
        assert roles == set(ROLES)
        by_source: dict[str, set[str]] = {}
        for line in split().values():
            by_source.setdefault(line["source"], set()).add(line["role"])
        untouched = [source for source, roles in by_source.items() if roles == {"test"}]
        assert len(untouched) >= 6

    @pytest.mark.parametrize("word", ["GPL", "terms", "not in the repo"])
    def test_what_may_not_be_learnt_from_is_for_tests(self, word: str) -> None:
        assert {line["role"] for line in split().values() if word in line["licence"]} == {"test"}

    @pytest.mark.parametrize("family", FAMILIES)
    def test_shipped_bundles_learnt_from_what_they_may(self, family: str) -> None:
        for bundle in find_bundles(family):
            sources = bundle.metadata.get("training", {}).get("sources") or []
            refused = [one["source"] for one in sources if not may_ship(one["source"])]
            assert not refused, f"{bundle.name} must not ship: it learnt from {refused}"

    def test_a_source_for_tests_is_refused(self) -> None:
        assert not may_ship("OpenKBP") and not may_ship("never heard of")
        assert may_ship("SynthSeg label maps")


class TestStructures:
    @pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0], ids=["micrometres", "millimetres", "centimetres"])
    def test_size_and_boundary(self, scale: float) -> None:
        matrix = oblique(tuple(scale * one for one in SPACING))
        first, second = structures_of(two_balls(matrix, scale=scale))
        assert (first.label, second.label) == (1, 2)
        assert second.size_mm == pytest.approx(6 * scale, rel=0.08)
        radii = np.linalg.norm(second.points - np.array((5, -7, 11)) - np.array((12, 0, 0)) * scale, axis=1)
        assert radii.max() <= 6 * scale and radii.min() > 3 * scale

    def test_where_the_array_cuts_it_is_no_boundary(self) -> None:
        labels = np.zeros((8, 8, 8), np.uint8)
        labels[:4] = 1
        (found,) = structures_of(Volume(labels, np.eye(4)))
        assert set(found.points[:, 2]) == {3.0}


class TestCubes:
    def test_the_same_generator_gives_the_same_cube(self, tmp_path: Path) -> None:
        cubes = AnatomyCubes(folder_of(tmp_path / "own"))
        first, again, other = (cubes.draw(np.random.default_rng(n), 32, third_of_size) for n in (4, 4, 5))
        assert np.array_equal(first.image, again.image) and np.array_equal(first.truth, again.truth)
        assert not np.array_equal(first.image, other.image)

    @pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0], ids=["micrometres", "millimetres", "centimetres"])
    def test_image_and_truth_show_the_same_place(self, tmp_path: Path, scale: float) -> None:
        """A real image, deformed, on an oblique and anisotropic grid."""
        matrix = oblique(tuple(scale * one for one in SPACING))
        folder = folder_of(tmp_path / "own", "name\timage\tlabel\na\ta.nrrd\ta_labels.nrrd\n", matrix, scale)
        cubes = AnatomyCubes(folder, variation=Variation(look_share=0, union_share=0))
        agreed = []
        for number in range(8):
            cube = cubes.draw(np.random.default_rng(number), 40, third_of_size)
            assert cube.real and cube.truth.any() and not cube.truth.all()
            middle = cube.truth[14:26, 14:26, 14:26]
            assert middle.any() and not middle.all()
            level = 145 if cube.label == 1 else None
            if level:
                agreed.append(np.mean((cube.image > level) == cube.truth))
        assert len(agreed) > 2 and min(agreed) > 0.95

    def test_validation_changes_nothing(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path / "own", "name\timage\tlabel\trole\na\ta.nrrd\ta_labels.nrrd\tvalidate\n")
        cube = AnatomyCubes(folder, "validate").draw(np.random.default_rng(0), 40, third_of_size)
        assert cube.real and set(np.unique(cube.image[cube.truth].round())) <= set(range(10, 201))
        assert cube.image.max() <= 200.001 and cube.image.min() >= 9.999

    def test_a_label_map_alone_validates_by_a_look(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path / "own", "name\tlabel\trole\na\ta_labels.nrrd\tvalidate\n")
        first, second = (
            AnatomyCubes(folder, "validate").draw(np.random.default_rng(n), 32, third_of_size) for n in (1, 2)
        )
        assert not first.real and not np.array_equal(first.image, second.image)

    def test_the_other_rater_comes_from_the_same_place(self, tmp_path: Path) -> None:
        cubes = AnatomyCubes(folder_of(tmp_path / "own"), variation=Variation(look_share=0, union_share=0))
        checked = 0
        for number in range(30):
            cube = cubes.draw(np.random.default_rng(number), 40, third_of_size)
            if cube is not None and cube.other is not None and cube.label == 1:
                checked += 1
                # A dilated copy holds the object, and not much else.
                assert np.count_nonzero(cube.truth & ~cube.other) < 0.05 * np.count_nonzero(cube.truth)
                assert cube.other.sum() > cube.truth.sum()
        assert checked > 3

    def test_sources_have_their_licences(self, tmp_path: Path) -> None:
        cubes = AnatomyCubes(folder_of(tmp_path / "own"))
        assert cubes.sources == [
            {"source": "here", "licence": "CC0", "cases": 1},
            {"source": "own", "licence": "", "cases": 1},
        ]

    def test_other_cases_have_another_digest(self, tmp_path: Path) -> None:
        first = AnatomyCubes(folder_of(tmp_path / "one")).digest
        assert AnatomyCubes(folder_of(tmp_path / "two")).digest == first
        less = folder_of(tmp_path / "three", "name\tlabel\na\ta_labels.nrrd\n")
        assert AnatomyCubes(less).digest != first

    def test_a_role_without_cases_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no case with the role 'test'"):
            AnatomyCubes(folder_of(tmp_path / "own"), "test")


class TestPieces:
    def test_a_cube_without_deformation_lies_along_ras(self) -> None:
        grid = Grid((24, 40, 44), oblique())
        where, steps = placed_cube(np.random.default_rng(0), grid, np.array([5.0, -7.0, 11.0]), 16, 0.5, 10.0, None)
        ras = grid.to_ras(where[::-1].reshape(3, -1).T).reshape(16, 16, 16, 3)
        assert ras[0, 0, 1] - ras[0, 0, 0] == pytest.approx([0.5, 0, 0], abs=1e-3)
        assert ras[1, 0, 0] - ras[0, 0, 0] == pytest.approx([0, 0, 0.5], abs=1e-3)
        assert ras.reshape(-1, 3).mean(axis=0) == pytest.approx([5, -7, 11], abs=1e-3)
        assert steps.shape == (3,) and (steps > 1.5).all()

    def test_a_deformation_folds_nothing(self) -> None:
        grid = Grid((60, 60, 60), np.eye(4))
        for seed in range(20):
            where, _ = placed_cube(np.random.default_rng(seed), grid, np.full(3, 30.0), 24, 1.0, 20.0, Deformation())
            slopes = np.stack([np.stack(np.gradient(part)) for part in where])
            determinants = np.linalg.det(np.moveaxis(slopes.reshape(3, 3, -1), -1, 0))
            assert (np.sign(determinants) == np.sign(determinants[0])).all()
            assert np.abs(determinants).min() > 0.2 and np.abs(determinants).max() < 4

    def test_values_beyond_an_array(self) -> None:
        array = np.arange(1, 9, dtype=np.uint8).reshape(2, 2, 2)
        where = np.array([[0.0, 1.4, -0.6], [0.0, 1.0, 0.0], [0.4, 0.6, 0.0]])
        assert nearest_values(array, where).tolist() == [1, 8, 0]

    def test_a_finer_image_is_averaged(self) -> None:
        """A checkerboard seen from twice as far is grey."""
        board = np.indices((16, 16, 16)).sum(axis=0) % 2
        volume = Volume(board.astype(np.float32), np.eye(4))
        where = np.indices((6, 6, 6), dtype=np.float32) * 2 + 2.5
        assert linear_values(volume, where, volume.grid, 2.0) == pytest.approx(0.5)
        kept = linear_values(volume, np.indices((6, 6, 6), dtype=np.float32) + 3, volume.grid, 1.0)
        assert np.minimum(kept, 1 - kept).max() < 1e-5 and 0.4 < kept.mean() < 0.6

    def test_a_look_keeps_the_object(self) -> None:
        labels = two_balls(oblique((1.0, 1.0, 1.0)))
        target = labels.array == 1
        for seed in range(6):
            image, truth, steps = random_look(np.random.default_rng(seed), labels.array, target, np.ones(3))
            assert image.shape == truth.shape == labels.shape and np.isfinite(image).all() and (steps >= 1).all()
            assert 2 * np.count_nonzero(truth & target) > 0.75 * (truth.sum() + target.sum())


class TestPairs:
    def test_pairs_of_one_role(self, tmp_path: Path) -> None:
        table = "name\timage\tlabel\tct\nmr\ta.nrrd\ta_labels.nrrd\ta_other.nrrd\nno\ta.nrrd\ta_labels.nrrd\t\n"
        pairs = list(ct_pairs(ct_rows(folder_of(tmp_path / "own", table), "train")))
        assert len(pairs) == 1 and pairs[0][0].array.max() == 200 and pairs[0][1].array.max() == 1

    def test_no_pair_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no MR with a CT"):
            ct_rows(folder_of(tmp_path / "own"), "train")
        assert ct_rows(folder_of(tmp_path / "own"), "validate") == []
