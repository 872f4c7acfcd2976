"""The editing loss against its definition in the paper, term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SparseToPreciseLib.editing.guidance import RADIUS_PER_SIGMA, attention
from SparseToPreciseLib.editing.losses import editing_loss, editing_target
from SparseToPreciseLib.editing.trainer import OBJECTIVES


@pytest.fixture
def voxels() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (2, 1, 5, 6, 7)
    return {
        "logits": 3 * torch.randn(shape, generator=generator, dtype=torch.float64),
        "truth": (torch.rand(shape, generator=generator) > 0.5).double(),
        "mask": (torch.rand(shape, generator=generator) > 0.5).double(),
        "guidance": torch.rand(shape, generator=generator, dtype=torch.float64),
    }


def cross_entropy(truth: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    probability = torch.sigmoid(logits)
    return -(truth * torch.log(probability) + (1 - truth) * torch.log(1 - probability))


def by_definition(voxels: dict[str, torch.Tensor]) -> torch.Tensor:
    """A CE(y, p) + (1 - A) CE(y0, p), voxel by voxel."""
    near, far = (cross_entropy(voxels[name], voxels["logits"]) for name in ("truth", "mask"))
    return voxels["guidance"] * near + (1 - voxels["guidance"]) * far


def test_the_papers_two_terms_are_one_cross_entropy_with_a_soft_target(voxels) -> None:
    loss = editing_loss(*(voxels[name] for name in ("logits", "truth", "mask", "guidance")))
    assert loss.item() == pytest.approx(by_definition(voxels).mean().item(), rel=1e-12)
    assert OBJECTIVES["editing"](voxels["logits"], voxels).item() == loss.item()


def test_weights_weigh_the_voxels(voxels) -> None:
    given = [voxels[name] for name in ("logits", "truth", "mask", "guidance")]
    weight = voxels["guidance"] ** 2 + 0.02
    expected = (by_definition(voxels) * weight).sum() / weight.sum()
    assert editing_loss(*given, weight).item() == pytest.approx(expected.item(), rel=1e-12)
    assert OBJECTIVES["zone-editing"](voxels["logits"], voxels).item() == pytest.approx(expected.item(), rel=1e-6)
    assert editing_loss(*given, torch.full_like(weight, 7.0)).item() == pytest.approx(editing_loss(*given).item())


@pytest.mark.parametrize(("attention_value", "followed"), [(1.0, "truth"), (0.0, "mask")])
def test_full_attention_follows_the_truth_and_none_the_old_mask(voxels, attention_value: float, followed: str) -> None:
    voxels["guidance"] = torch.full_like(voxels["guidance"], attention_value)
    loss = editing_loss(*(voxels[name] for name in ("logits", "truth", "mask", "guidance")))
    assert loss.item() == pytest.approx(cross_entropy(voxels[followed], voxels["logits"]).mean().item())


@pytest.mark.parametrize("attention_value", [0.0, 0.3, 0.49, 0.51, 0.7, 1.0])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_the_optimum_flips_a_wrong_voxel_only_where_attention_exceeds_a_half(
    attention_value: float, truth: float
) -> None:
    given = [torch.tensor([[[[[value]]]]]) for value in (truth, 1 - truth, attention_value)]
    logits = torch.zeros(1, 1, 1, 1, 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], lr=0.5, max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = editing_loss(logits, *given)
        loss.backward()
        return loss

    optimizer.step(closure)
    flipped = (logits.item() > 0) == bool(truth)
    assert flipped == (attention_value > 0.5)


def test_attention_is_a_half_at_the_influence_radius() -> None:
    sigma = 10.0
    at, nearer, farther = attention(np.float32([1, 0.99, 1.01]) * np.float32(sigma * RADIUS_PER_SIGMA), sigma)
    assert at == pytest.approx(0.5, abs=1e-6)
    assert nearer > 0.5 > farther


def test_where_old_and_true_agree_the_target_is_theirs(voxels) -> None:
    target = editing_target(voxels["truth"], voxels["truth"], voxels["guidance"])
    torch.testing.assert_close(target, voxels["truth"])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_prefers_the_right_answer_and_has_a_gradient(voxels, name: str) -> None:
    right = (2 * voxels["truth"] - 1) * 8
    voxels["mask"] = 1 - voxels["truth"]
    voxels["guidance"] = torch.full_like(voxels["guidance"], 0.9)
    given = {key: value.float() for key, value in voxels.items()}
    logits = given["logits"].clone().requires_grad_()
    loss = OBJECTIVES[name](logits, given)
    loss.backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0
    right_loss, wrong_loss = (OBJECTIVES[name](sign * right.float(), given).item() for sign in (1, -1))
    assert 0 <= right_loss < wrong_loss
