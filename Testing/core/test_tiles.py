"""A network over a volume in tiles: as if it were one piece, cancelled within a tile, and in less memory if it must."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from SparseToPreciseLib.core import tiles  # noqa: E402
from SparseToPreciseLib.core.devices import Device, ran_out_of_memory  # noqa: E402
from SparseToPreciseLib.core.errors import Cancelled, InputError  # noqa: E402
from SparseToPreciseLib.core.progress import Progress  # noqa: E402
from SparseToPreciseLib.core.tiles import Tiling, predict_in_tiles  # noqa: E402

CPU = Device("cpu")
VOLUME = np.random.default_rng(0).normal(0, 1, (50, 70, 40)).astype(np.float32)


def line(values: torch.Tensor) -> torch.Tensor:
    """A network that looks at one voxel at a time."""
    return torch.cat([2 * values + 1, -values], dim=1)


class Recorder:
    """Remembers the shapes of its tiles, and fails as it is told."""

    def __init__(self, fails=lambda shape: None) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.fails = fails

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(values.shape[2:]))
        error = self.fails(tuple(values.shape[2:]))
        if error is not None:
            raise error
        return values * 1


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("size", [32, 48, 96])
def test_tiles_blend_to_the_answer_of_one_piece(size: int, overlap: float):
    answer = predict_in_tiles(line, VOLUME, Tiling(size, overlap), CPU)
    assert answer.array.shape == (2, *VOLUME.shape) and answer.array.dtype == np.float32
    assert np.allclose(answer.array, [2 * VOLUME + 1, -VOLUME], atol=1e-5)
    assert answer.device == CPU and answer.notes == () and answer.tiling.size == size


@pytest.mark.parametrize("shape", [(50, 70, 40), (32, 33, 31), (100, 20, 64), (2, 90, 3)])
@pytest.mark.parametrize(("size", "overlap"), [(32, 0.0), (32, 0.5), (48, 0.25), (64, 0.7)])
def test_the_number_of_tiles_is_known_before(shape: tuple[int, int, int], size: int, overlap: float):
    recorder = Recorder()
    tiling = Tiling(size, overlap)
    predict_in_tiles(recorder, np.zeros(shape, np.float32), tiling, CPU)
    assert len(recorder.shapes) == tiling.count(shape)
    assert set(recorder.shapes) == {tiling.shape(shape)}


def test_a_volume_smaller_than_a_tile_stands_before_the_background():
    seen = []

    def network(values: torch.Tensor) -> torch.Tensor:
        seen.append(values.clone())
        return values

    small = np.ones((5, 20, 40), np.float32)
    answer = predict_in_tiles(network, small, Tiling(96, background=-2.0), CPU)
    assert np.array_equal(answer.array[0], small)
    (tile,) = seen
    assert tuple(tile.shape) == (1, 1, 16, 32, 48)
    assert (tile == 1).sum() == small.size and (tile == -2).sum() == tile.numel() - small.size


def test_what_is_chosen_of_an_answer_is_chosen_before_blending():
    answer = predict_in_tiles(line, VOLUME, Tiling(32), CPU, chosen=lambda two: two[:, :1] + two[:, 1:])
    assert answer.array.shape == (1, *VOLUME.shape) and np.allclose(answer.array[0], VOLUME + 1, atol=1e-5)


def test_a_cancel_takes_effect_before_the_next_tile():
    recorder = Recorder()
    with pytest.raises(Cancelled):
        predict_in_tiles(recorder, VOLUME, Tiling(32), CPU, progress=Progress(None, lambda: len(recorder.shapes) >= 3))
    assert len(recorder.shapes) == 3


def test_progress_rises_tile_by_tile():
    seen: list[float] = []
    predict_in_tiles(line, VOLUME, Tiling(32), CPU, progress=Progress(lambda fraction, _: seen.append(fraction)))
    assert seen == sorted(seen) and len(seen) == Tiling(32).count(VOLUME.shape)


def test_when_the_memory_runs_out_tiles_get_smaller_and_it_is_said():
    recorder = Recorder(lambda shape: MemoryError() if max(shape) > 32 else None)
    answer = predict_in_tiles(recorder, VOLUME, Tiling(96), CPU)
    assert np.allclose(answer.array[0], VOLUME, atol=1e-5) and answer.tiling.size == 32
    assert answer.notes == ("The memory of cpu ran out, so tiles of 32 voxels were used.",)


def test_when_even_small_tiles_are_too_much_the_cpu_does_it(monkeypatch: pytest.MonkeyPatch):
    real, asked = tiles._run, []

    def run(network, array, tiling, device, *rest):
        asked.append((device.name, tiling.size))
        if device.name != "cpu":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(network, array, tiling, device, *rest)

    monkeypatch.setattr(tiles, "_run", run)
    monkeypatch.setattr(tiles, "_empty_cache", lambda device: None)
    answer = predict_in_tiles(line, VOLUME, Tiling(96), Device("cuda:0"))
    assert asked == [("cuda:0", 96), ("cuda:0", 32), ("cpu", 96)]
    assert answer.device.name == "cpu"
    assert answer.notes == ("The memory of cuda:0 ran out even with small tiles, so the work was done on the CPU.",)
    assert np.allclose(answer.array[0], 2 * VOLUME + 1, atol=1e-5)


def test_memory_that_never_suffices_and_other_faults_are_not_hidden():
    with pytest.raises(MemoryError):
        predict_in_tiles(Recorder(lambda shape: MemoryError()), VOLUME, Tiling(64), CPU)
    with pytest.raises(RuntimeError, match="a bug"):
        predict_in_tiles(Recorder(lambda shape: RuntimeError("a bug")), VOLUME, Tiling(64), CPU)


def test_which_errors_mean_memory():
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("x"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory"),
    ):
        assert ran_out_of_memory(error)
    for error in (RuntimeError("shape mismatch"), ValueError("out of memory"), Cancelled("x")):
        assert not ran_out_of_memory(error)


def test_tiles_have_sides_that_the_network_can_halve():
    assert Tiling(33).size == 48 and Tiling(32).size == 32
    assert Tiling(96).shape((10, 97, 96)) == (16, 96, 96)
    large = (200, 200, 200)
    assert [Tiling(size).smaller(large).size for size in (96, 64, 48)] == [48, 32, 32]
    # Half of what is too much, not of a tile that is larger than the volume.
    assert Tiling(512).smaller((50, 70, 40)).size == 32 and Tiling(32).smaller(large) is None


@pytest.mark.parametrize(
    ("size", "overlap"), [(31, 0.5), (0, 0.5), (-64, 0.5), (64, -0.1), (64, 0.95), (64, float("nan"))]
)
def test_tiles_out_of_range_are_refused(size: int, overlap: float):
    with pytest.raises(InputError, match="tile"):
        Tiling(size, overlap)
