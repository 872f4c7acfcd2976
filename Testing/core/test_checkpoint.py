"""A training that was stopped goes on as if it had not been; begun with another's weights; ended early by the user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from box_cases import GRID, image_on, mask_on

from SparseToPreciseLib.boxes.corrector.inputs import CHANNELS
from SparseToPreciseLib.boxes.corrector.trainer import CorrectorTrainer, Sampling
from SparseToPreciseLib.boxes.corrector.working_grid import View
from SparseToPreciseLib.boxes.scenes import Scene, deformed
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training import checkpoint
from SparseToPreciseLib.core.training.checkpoint import Checkpoint
from SparseToPreciseLib.core.training.loop import LoopOptions, TrainingLoop
from SparseToPreciseLib.core.training.recipe import train

TINY = {
    "validation_phantoms": 1,
    "validations": 3,
    "batch_size": 1,
    "spacing_mm": 6.0,
    "tile": 32,
    "sampling::patch": 32,
    "network::arguments::backbone::arguments::features": [4, 4, 4, 4, 4, 4],
    "network::arguments::head::arguments::kernel": 3,
    "adversarial::channels": 4,
    "adversarial::weight": 0.01,
    "adversarial::warm_up": 0.2,
}


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)


def stopping_after(loop: TrainingLoop, batches: int) -> TrainingLoop:
    """The loop is killed when it asks for one batch more."""
    real, drawn = loop._batch, []

    def batch(rng: np.random.Generator):
        if len(drawn) == batches:
            raise KeyboardInterrupt
        drawn.append(1)
        return real(rng)

    loop._batch = batch
    return loop


def corrector(path: Path | None = None, resume: bool = False) -> CorrectorTrainer:
    """One whose scenes give way to others."""
    torch.manual_seed(0)
    arguments = {"spatial_dims": 3, "in_channels": CHANNELS, "out_channels": 1, "channels": [4, 8], "strides": [2]}
    scene = Scene(image_on(GRID), mask_on(GRID))
    kept = None if path is None else Checkpoint(path, "a corrector", resume)
    options = LoopOptions(steps=9, batch_size=1, validations=3, learning_rate=0.01, checkpoint=kept)
    network = build_network({"name": "UNet", "arguments": arguments})
    renewed = {"renew": lambda rng: deformed(scene, rng), "lasting": 1}
    return CorrectorTrainer(network, [scene] * 3, [scene], Sampling(View(32)), 16, options, **renewed)


def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = corrector()
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        stopping_after(corrector(tmp_path / "state"), 7).run()
    second = corrector(tmp_path / "state", resume=True)
    second.run()
    for one in whole.log.rows + second.log.rows:
        del one["minutes"]
    np.testing.assert_equal(second.log.rows, whole.log.rows)
    assert second.renewed == whole.renewed == 2
    for mine, theirs in zip(second.scenes, whole.scenes, strict=True):
        assert np.array_equal(mine.image.array, theirs.image.array)
    state = whole.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in second.network.state_dict().items())


def test_a_stopped_training_of_a_family_is_taken_up_with_its_discriminator(tmp_path: Path) -> None:
    given = {"phantoms": 1, "steps": 4, "device": "cpu", "overrides": TINY}
    whole = train("synthesis", tmp_path / "whole", **given)
    state = tmp_path / "mine.checkpoint"
    said: list[str] = []
    progress = Progress(lambda _, message: said.append(message), lambda: any("step 3" in one for one in said))
    with pytest.raises(Cancelled):
        train("synthesis", tmp_path / "mine", checkpoint=state, progress=progress, **given)
    assert state.is_file() and not (tmp_path / "mine").exists()
    with pytest.raises(InputError, match="of a training with other options or cases"):
        train("synthesis", tmp_path / "mine", checkpoint=state, resume=True, seed=5, **given)
    mine = train("synthesis", tmp_path / "mine", checkpoint=state, resume=True, **given)
    assert mine.sha256 == whole.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "whole"], "the state is gone"


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state"
    if content is None:
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="is no checkpoint of a training, or damaged"):
        Checkpoint(path, "a", resume=True).read()


def test_a_full_disk_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    Checkpoint(tmp_path / "state", "a").write({})
    assert not list(tmp_path.iterdir())


def test_what_a_cancelled_training_had_is_kept_and_another_begins_with_it(tmp_path: Path) -> None:
    """Cancelled after a validation, what there is becomes a bundle, which a second training begins with."""
    said: list[str] = []
    progress = Progress(lambda _, message: said.append(message), lambda: any("step 2" in one for one in said))
    overrides = TINY | {"adversarial::weight": 0.0}
    given = {"phantoms": 1, "device": "cpu", "overrides": overrides}
    first = train("synthesis", tmp_path / "first", steps=6, keep_on_cancel=True, progress=progress, **given)
    assert first.metadata["training"]["cancelled"] and first.metadata["training"]["steps"] == 2
    assert "Ended by the user." in first.card
    second = train("synthesis", tmp_path / "second", steps=1, start=str(first.path), **given)
    assert second.metadata["training"]["started_from"] == "first"
    assert "Started from the weights of first." in " ".join(second.card.split())
    losses = [
        (bundle.path / "docs" / "log.csv").read_text().splitlines()[row].split(",")[3]
        for bundle, row in ((first, -1), (second, 1))
    ]
    assert losses[0] == losses[1], "it begins where the other ended"
    smaller = overrides | {"network::arguments::backbone::arguments::features": [4, 4, 4, 4, 8, 4]}
    with pytest.raises(InputError, match="first has another network"):
        train("synthesis", tmp_path / "third", steps=1, start=str(first.path), **given | {"overrides": smaller})
