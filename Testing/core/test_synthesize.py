"""An MR to its CT on the MR's own grid: geometry, HU, bands, uncertainty, several models, bad input, cancel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edit_cases import grid_around  # noqa: E402
from scipy import ndimage  # noqa: E402
from synthesis_cases import GRID, GRIDS, MIDDLE, ball_on, ct_on, depth, mr_on, tiny_model  # noqa: E402

from SparseToPreciseLib.core import tiles  # noqa: E402
from SparseToPreciseLib.core.devices import Device  # noqa: E402
from SparseToPreciseLib.core.errors import Cancelled, InputError  # noqa: E402
from SparseToPreciseLib.core.progress import Progress  # noqa: E402
from SparseToPreciseLib.core.volume import Volume  # noqa: E402
from SparseToPreciseLib.synthesis import working_grid  # noqa: E402
from SparseToPreciseLib.synthesis.inputs import network_input  # noqa: E402
from SparseToPreciseLib.synthesis.model import Synthesizer, load_model  # noqa: E402
from SparseToPreciseLib.synthesis.synthesize import SynthesisResult, synthesize  # noqa: E402


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesizer]:
    """Bundles of hand-set weights: bands, plain, one whose answer is 100 HU lower, one on a finer lattice."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "bands": tiny_model(folder / "bands"),
        "plain": tiny_model(folder / "plain", bands=False),
        "lower": tiny_model(folder / "lower", middle=MIDDLE - 100 / 4024),
        "fine": tiny_model(folder / "fine", parameters={"spacing_mm": 1.5}),
        "window": tiny_model(folder / "window", parameters={"hu_window": [-1000, 2000]}),
    }
    return {name: load_model(path, "cpu") for name, path in made.items()}


@pytest.fixture(scope="module")
def straight(models: dict[str, Synthesizer]) -> SynthesisResult:
    return synthesize(mr_on(GRID), models["bands"], bands=True, uncertainty=True)


def wanted_hu(mr: Volume, spacing_mm: float = 2.0) -> np.ndarray:
    """What the hand-set weights make of an MR, without the network."""
    working = network_input(mr, spacing_mm)
    from synthesis_cases import GAIN

    return np.clip((MIDDLE + GAIN * (mr.array - working.location) / working.scale) * 4024 - 1024, -1024, 3000)


# ------------------------------------------------------------------------------------------------ the CT


def test_the_ct_is_what_the_weights_say_in_hu_and_air_is_minus_1024_outside(straight: SynthesisResult):
    mr = mr_on(GRID)
    body = straight.body.array > 0
    assert straight.ct.array.dtype == np.int16 and straight.body.array.dtype == np.uint8
    assert (straight.ct.array[~body] == -1024).all()
    error = np.abs(straight.ct.array - wanted_hu(mr))[body & (mr.array < 1000)]
    assert np.percentile(error, 99) < 15 and np.median(error) < 1
    assert straight.models == ["bands"] and straight.device == "cpu" and straight.answers == 8 and straight.note == ""
    assert set(straight.timings) == {"prepare", "network", "apply"}


@pytest.mark.parametrize("name", [*GRIDS, "straight"])
def test_the_grid_is_the_mrs_own_to_the_byte(models: dict[str, Synthesizer], name: str):
    mr = mr_on(GRIDS.get(name, GRID))
    result = synthesize(mr, models["bands"], bands=True)
    for volume in (result.ct, result.body, result.low, result.high, result.high_probability):
        assert volume.ijk_to_ras.tobytes() == mr.ijk_to_ras.tobytes() and volume.shape == mr.shape


@pytest.mark.parametrize("name", GRIDS)
def test_the_same_head_gets_the_same_ct_however_it_is_stored(
    models: dict[str, Synthesizer], straight: SynthesisResult, name: str
):
    other = synthesize(mr_on(GRIDS[name]), models["bands"])
    there = straight.ct.with_array(straight.ct.array.astype(np.float32)).resampled_to(other.ct.grid).array
    inside = depth(other.ct.grid.points_ras()) > 3
    difference = np.abs(there - other.ct.array)[inside & (other.body.array > 0)]
    # One unit of intensity is 240 HU here, and the edges are far sharper than the voxels.
    limit = {"oblique": 16, "anisotropic": 25, "LAS": 3, "axes in another order": 3}[name]
    assert difference.mean() < limit


def test_a_cropped_head_gets_the_same_ct(models: dict[str, Synthesizer], straight: SynthesisResult):
    slices = (slice(16, None), slice(None), slice(5, None))
    result = synthesize(mr_on(GRID).cropped(slices), models["bands"])
    both = ndimage.binary_erosion((result.body.array > 0) & (straight.body.array[slices] > 0), iterations=2)
    assert np.abs(result.ct.array[both].astype(float) - straight.ct.array[slices][both]).mean() < 5


def test_a_finer_mr_gets_a_ct_of_its_own_resolution(models: dict[str, Synthesizer]):
    mr = mr_on(grid_around((1.0, 1.0, 1.5), half_mm=48))
    result = synthesize(mr, models["bands"])
    assert result.ct.shape == mr.shape
    inside = depth(mr.grid.points_ras()) > 14
    assert np.abs(result.ct.array - wanted_hu(mr))[inside].mean() < 15


def test_planes_at_once_do_not_change_the_answer(
    models: dict[str, Synthesizer], straight: SynthesisResult, monkeypatch: pytest.MonkeyPatch
):
    mr = mr_on(GRIDS["oblique"])
    once = synthesize(mr, models["bands"]).ct.array
    monkeypatch.setattr(working_grid, "PLANES_AT_ONCE", 5)
    assert np.array_equal(synthesize(mr, models["bands"]).ct.array, once)


def test_tiles_do_not_change_the_answer_of_a_network_that_looks_at_one_voxel(
    models: dict[str, Synthesizer], straight: SynthesisResult
):
    for tile, overlap in ((32, 0.25), (96, 0.0), (48, 0.8)):
        result = synthesize(mr_on(GRID), models["bands"], tile=tile, overlap=overlap)
        assert result.tile == tile
        assert np.abs(result.ct.array.astype(int) - straight.ct.array).max() <= 1


# ------------------------------------------------------------------------------------------------ bands, uncertainty


def test_bands_add_up_to_the_ct(straight: SynthesisResult):
    body = straight.body.array > 0
    total = straight.low.array.astype(int) + straight.high.array
    assert np.abs(total - straight.ct.array)[body].max() <= 1
    assert straight.low.array.dtype == straight.high.array.dtype == np.int16
    assert np.allclose(straight.high_probability.array[body], 0.5)
    assert (straight.low.array[~body] == -1024).all()
    assert not straight.high.array[~body].any() and not straight.high_probability.array[~body].any()
    assert straight.high.array[body].std() > 5


def test_bands_are_left_out_unless_wanted(models: dict[str, Synthesizer], straight: SynthesisResult):
    result = synthesize(mr_on(GRID), models["bands"])
    assert (result.low, result.high, result.high_probability, result.uncertainty) == (None,) * 4
    assert np.array_equal(result.ct.array, straight.ct.array)


def test_a_model_without_bands_makes_the_same_ct_and_refuses_bands(
    models: dict[str, Synthesizer], straight: SynthesisResult
):
    result = synthesize(mr_on(GRID), models["plain"])
    assert np.abs(result.ct.array.astype(int) - straight.ct.array).max() <= 1
    with pytest.raises(InputError, match="The model plain does not tell bands apart"):
        synthesize(mr_on(GRID), models["plain"], bands=True)


def test_a_network_that_looks_at_one_voxel_is_certain(straight: SynthesisResult):
    assert straight.uncertainty.array.dtype == np.float32 and straight.uncertainty.array.max() < 0.01


def test_the_uncertainty_is_the_deviation_over_the_models_in_hu(models: dict[str, Synthesizer]):
    pair = [models["bands"], models["lower"]]
    result = synthesize(mr_on(GRID), pair, uncertainty=True)
    inside = (result.body.array > 0) & (result.ct.array > -800)
    # Eight answers of each model, 100 HU apart: a deviation of 50 sqrt(16 / 15).
    assert np.allclose(result.uncertainty.array[inside], 50 * np.sqrt(16 / 15), atol=0.1)
    assert not result.uncertainty.array[result.body.array == 0].any()
    assert result.answers == 16 and result.models == ["bands", "lower"]


def test_the_ct_of_several_models_is_their_mean_with_or_without_uncertainty(
    models: dict[str, Synthesizer], straight: SynthesisResult
):
    pair = [models["bands"], models["lower"]]
    inside = (straight.body.array > 0) & (straight.ct.array > -800)
    mean = synthesize(mr_on(GRID), pair)
    assert np.abs(straight.ct.array[inside] - mean.ct.array[inside].astype(float) - 50).max() <= 1
    again = synthesize(mr_on(GRID), pair, uncertainty=True)
    assert np.array_equal(mean.ct.array, again.ct.array)


def test_only_the_axes_of_the_training_are_mirrored(tmp_path: Path):
    class Leaning(torch.nn.Module):
        """Adds 0.1 at the far end of I (to the right), nothing at the other."""

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            ramp = torch.linspace(0, 0.1, given.shape[4])
            return torch.full_like(given, 0.3) + ramp

    found = {}
    for flips in ("R", "A", ""):
        model = load_model(
            tiny_model(tmp_path / f"m{flips}", bands=False, parameters={"flips": flips, "tile": 96}), "cpu"
        )
        model.network = Leaning()
        result = synthesize(mr_on(GRID), model, uncertainty=True)
        found[flips] = float(result.uncertainty.array.max()), result.answers
        assert any("one answer only" in note for note in result.warnings) == (flips == "")
    # Mirrored along R the ramp runs the other way, along A it stays.
    assert found["R"][0] > 100 and found["R"][1] == 2
    assert found["A"][0] < 0.01 and found["A"][1] == 2
    assert found[""] == (0.0, 1)


def test_models_on_other_lattices_may_be_mixed(models: dict[str, Synthesizer], straight: SynthesisResult):
    result = synthesize(mr_on(GRID), [models["bands"], models["fine"]])
    inside = depth(GRID.points_ras()) > 14
    assert np.abs(result.ct.array[inside].astype(float) - straight.ct.array[inside]).mean() < 15


def test_models_with_different_windows_are_refused(models: dict[str, Synthesizer]):
    with pytest.raises(InputError, match="different CT windows"):
        synthesize(mr_on(GRID), [models["bands"], models["window"]])
    with pytest.raises(InputError, match="no model"):
        synthesize(mr_on(GRID), [])


def test_another_window_means_other_hu(models: dict[str, Synthesizer], straight: SynthesisResult):
    result = synthesize(mr_on(GRID), models["window"])
    inside = (straight.body.array > 0) & (straight.ct.array > -900)
    unit = (straight.ct.array[inside] + 1024) / 4024
    assert np.abs(result.ct.array[inside] - (unit * 3000 - 1000)).max() < 2


# ------------------------------------------------------------------------------------------------ mask, warnings


@pytest.mark.parametrize("name", [*GRIDS, "straight"])
def test_a_given_mask_decides_where_the_body_is(models: dict[str, Synthesizer], name: str):
    mask = ball_on(GRIDS.get(name, GRID))
    result = synthesize(mr_on(GRID), models["bands"], mask)
    true = depth(GRID.points_ras())
    if name == "straight":
        assert np.array_equal(result.body.array, mask.array)
    assert result.body.array[true > 2].all() and not result.body.array[true < -2].any()
    assert (result.ct.array[result.body.array == 0] == -1024).all()


def test_an_mr_unlike_what_was_seen_is_warned_of(tmp_path: Path):
    from SparseToPreciseLib.synthesis.confidence import seen_in

    seen = seen_in([mr_on(GRID), mr_on(GRIDS["oblique"]), mr_on(GRIDS["LAS"])], 2.0)
    model = load_model(tiny_model(tmp_path / "seen", parameters={"seen": seen}), "cpu")
    assert synthesize(mr_on(GRID), model).warnings == []
    thick = synthesize(mr_on(grid_around((2.0, 2.0, 8.0), half_mm=52), "thick"), model)
    assert any("thick are up to 8 mm" in one for one in thick.warnings) and thick.note == ""


def test_what_gave_way_to_the_memory_is_said(models: dict[str, Synthesizer], monkeypatch: pytest.MonkeyPatch):
    real = tiles._run

    def run(network, array, tiling, *rest):
        if tiling.size > 32:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(network, array, tiling, *rest)

    monkeypatch.setattr(tiles, "_run", run)
    result = synthesize(mr_on(GRID), models["bands"], uncertainty=True)
    assert result.tile == 32 and result.note == "The memory of cpu ran out, so tiles of 32 voxels were used."
    assert result.warnings == [result.note]


def test_work_that_a_gpu_could_not_do_is_done_on_the_cpu_from_then_on(
    models: dict[str, Synthesizer], monkeypatch: pytest.MonkeyPatch
):
    real, asked = tiles._run, []

    def run(network, array, tiling, device, *rest):
        asked.append(device.name)
        if device.name != "cpu":
            raise RuntimeError("CUDA out of memory")
        return real(network, array, tiling, device, *rest)

    monkeypatch.setattr(tiles, "_run", run)
    monkeypatch.setattr(tiles, "_empty_cache", lambda device: None)
    model = models["bands"]
    monkeypatch.setattr(model, "_device", Device("cuda:0"))
    result = synthesize(mr_on(GRID), model, uncertainty=True)
    assert result.device == "cpu" and "on the CPU" in result.note
    assert asked[-7:] == ["cpu"] * 7 and "cuda:0" in asked


# ------------------------------------------------------------------------------------------------ bad input


def broken(**changes) -> Volume:
    return replace(mr_on(GRID), **changes)


BAD = {
    "a CT": (lambda: ct_on(GRID), "looks like a CT"),
    "NaN": (lambda: broken(array=np.where(ball_on(GRID).array > 0, np.nan, mr_on(GRID).array)), "NaN"),
    "infinite": (lambda: broken(array=np.where(ball_on(GRID).array > 0, np.inf, mr_on(GRID).array)), "infinite"),
    "constant": (lambda: broken(array=np.full(GRID.shape, 7, np.int16)), "the value 7 everywhere"),
    "beyond float32": (lambda: broken(array=mr_on(GRID).array.astype(np.float64) * 1e40), "scale them down"),
    "one slice": (lambda: mr_on(GRID).cropped((slice(20, 21), slice(None), slice(None))), "single slice"),
    "one thick slice": (lambda: mr_on(grid_around((2.0, 2.0, 104.0), half_mm=52)), "single slice"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_are_refused_in_one_sentence(models: dict[str, Synthesizer], name: str):
    make, sentence = BAD[name]
    with pytest.raises(InputError, match=sentence) as refused:
        synthesize(make(), models["bands"])
    assert str(refused.value).count(".") - str(refused.value).count("0.") <= 2


@pytest.mark.parametrize("shape", [(52, 52), (52, 52, 52, 3)])
def test_an_image_is_three_dimensional(shape: tuple[int, ...]):
    with pytest.raises(InputError, match="3D volume"):
        Volume(np.zeros(shape), np.eye(4))


def test_an_empty_or_distant_mask_is_refused(models: dict[str, Synthesizer]):
    empty = ball_on(GRID, "nothing")
    with pytest.raises(InputError, match="nothing is empty"):
        synthesize(mr_on(GRID), models["bands"], empty.with_array(np.zeros_like(empty.array)))
    for shift in ([500, 0, 0], [0, -115, 0], [0, 0, 10_000]):  # one of them ends just beside the MR
        away = empty.ijk_to_ras.copy()
        away[:3, 3] += shift
        with pytest.raises(InputError, match="The body mask nothing lies outside MR; choose another one or none"):
            synthesize(mr_on(GRID), models["bands"], Volume(empty.array, away, empty.name))


@pytest.mark.parametrize(("tile", "overlap"), [(8, None), (0, None), (None, 1.0), (None, -0.5)])
def test_tiles_out_of_range_are_refused(models: dict[str, Synthesizer], tile, overlap):
    with pytest.raises(InputError, match="tile"):
        synthesize(mr_on(GRID), models["bands"], tile=tile, overlap=overlap)


def test_a_volume_smaller_than_a_tile_is_padded(models: dict[str, Synthesizer], straight: SynthesisResult):
    slices = (slice(20, 26), slice(10, 40), slice(None))
    result = synthesize(mr_on(GRID).cropped(slices), models["bands"], tile=96)
    both = ndimage.binary_erosion(straight.body.array > 0, iterations=2)[slices] & (result.body.array > 0)
    assert both.any() and np.abs(result.ct.array[both].astype(float) - straight.ct.array[slices][both]).mean() < 15


WRONG_BUNDLES = {
    "modality": ({"modality": "CBCT"}, "trained on CBCT"),
    "window": ({"hu_window": [3000, -1024]}, "window"),
    "outputs": ({"outputs": ["low", "high", "other"]}, "no CT"),
    "spacing": ({"spacing_mm": 0.0}, "0 mm"),
    "tile": ({"tile": "many"}, "many"),
    "flips": ({"flips": "LR"}, "mirrored"),
    "seen spacing": ({"seen": {"spacing_mm": "x"}}, "not in order"),
    "seen extent": ({"seen": {"extent_mm": [[1, 2]]}}, "extent_mm"),
    "seen histogram": ({"seen": {"histogram": {}}}, "edges"),
    "standardisation": ({"body": {"standardisation": "z-score"}}, "another standardisation"),
}


@pytest.mark.parametrize("name", WRONG_BUNDLES)
def test_a_bundle_that_does_not_fit_is_refused_by_name_and_reason(tmp_path: Path, name: str):
    parameters, reason = WRONG_BUNDLES[name]
    folder = tiny_model(tmp_path / "odd", parameters=parameters)
    with pytest.raises(InputError, match=f"The bundle odd .* is refused: .*{reason}"):
        load_model(folder, "cpu")


def test_a_bundle_of_another_family_is_refused():
    with pytest.raises(InputError, match="is of the family editing, not synthesis"):
        load_model("editing", "cpu")


# ------------------------------------------------------------------------------------------------ cancel


def test_progress_rises_to_one_and_a_cancel_at_any_step_ends_it(models: dict[str, Synthesizer]):
    mr, seen = mr_on(GRID), []
    synthesize(mr, models["bands"], tile=32, overlap=0.0, progress=Progress(lambda fraction, _: seen.append(fraction)))
    assert seen == sorted(seen) and seen[-1] == 1
    assert len(seen) > 12
    for stop in range(0, len(seen) - 1, 3):
        steps = []

        def report(fraction: float, message: str, steps: list[float] = steps) -> None:
            steps.append(fraction)

        with pytest.raises(Cancelled):
            progress = Progress(report, lambda steps=steps, stop=stop: len(steps) > stop)
            synthesize(mr, models["bands"], tile=32, overlap=0.0, progress=progress)
        assert len(steps) == stop + 1


def test_no_array_that_was_given_is_changed(models: dict[str, Synthesizer]):
    mr, mask = mr_on(GRID), ball_on(GRIDS["oblique"])
    before = mr.array.copy(), mask.array.copy()
    synthesize(mr, models["bands"], mask, bands=True)
    assert np.array_equal(mr.array, before[0]) and np.array_equal(mask.array, before[1])
