"""Losses of synthesis: values by hand, signs, where they are zero, and whose weights they move."""

from __future__ import annotations

import math

import pytest
import torch

from SparseToPreciseLib.synthesis.adversarial import Adversarial, Adversary, relativistic_loss
from SparseToPreciseLib.synthesis.losses import absolute_error, frequency_loss, masked_mean


def cube(*values: float) -> torch.Tensor:
    """(1, 1, 1, 1, n)."""
    return torch.tensor(values, dtype=torch.float32)[None, None, None, None]


def test_masked_mean_counts_the_mask_alone() -> None:
    values = cube(1.0, 2.0, 300.0, -7.0)
    assert masked_mean(values, cube(1, 1, 0, 0)).item() == pytest.approx(1.5)
    assert masked_mean(values, cube(0, 0, 0, 0)).item() == 0.0
    # More air around the body does not change it.
    wide = torch.cat([values, torch.full((1, 1, 1, 1, 40), 9.0)], dim=-1)
    assert masked_mean(wide, torch.cat([cube(1, 1, 0, 0), torch.zeros(1, 1, 1, 1, 40)], dim=-1)).item() == 1.5


def test_absolute_error_by_hand() -> None:
    assert absolute_error(cube(0.0, 1.0, 5.0), cube(0.5, 0.0, 0.0), cube(1, 1, 0)).item() == pytest.approx(0.75)


def test_frequency_loss_by_hand() -> None:
    low, high = cube(0.2, 0.3), cube(0.1, -0.1)
    truth, truth_high = cube(0.4, 0.2), cube(0.0, -0.3)
    # |high - truth_high|: 0.1, 0.2; |low + high - truth|: 0.1, 0.0
    assert frequency_loss(low, high, truth, truth_high, cube(1, 1)).item() == pytest.approx(0.15 + 0.05)
    assert frequency_loss(low, high, truth, truth_high, cube(1, 0)).item() == pytest.approx(0.1 + 0.1)


def test_frequency_loss_is_zero_for_the_true_bands_alone() -> None:
    truth, truth_high, mask = torch.rand(2, 1, 4, 4, 4), torch.rand(2, 1, 4, 4, 4), torch.ones(2, 1, 4, 4, 4)
    assert frequency_loss(truth - truth_high, truth_high, truth, truth_high, mask).item() == pytest.approx(0, abs=1e-6)
    # Their sum alone is not enough: what belongs to the other band is paid for.
    assert frequency_loss(truth, torch.zeros_like(truth), truth, truth_high, mask).item() == pytest.approx(
        truth_high.mean().item(), rel=1e-5
    )


def test_the_low_band_has_no_term_of_its_own() -> None:
    low = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    high = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    truth, mask = torch.ones(1, 1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2)
    frequency_loss(low, high, truth, truth, mask).backward()
    # Both ask for more; the high band twice as much.
    assert torch.allclose(low.grad * 8, torch.tensor(-1.0)) and torch.allclose(high.grad * 8, torch.tensor(-2.0))


def test_relativistic_loss_by_hand() -> None:
    even = torch.zeros(3)
    assert relativistic_loss(even, even).item() == pytest.approx(math.log(2))
    # One patch each: both terms are softplus(-(a - b)).
    assert relativistic_loss(torch.tensor([2.0]), torch.tensor([0.5])).item() == pytest.approx(
        math.log(1 + math.exp(-1.5))
    )
    # The average of the other kind is what counts.
    likelier, unlikelier = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -2.0])
    by_hand = 0.5 * sum(sum(math.log(1 + math.exp(-x)) for x in terms) / 2 for terms in ((2, 4), (2, 4)))
    assert relativistic_loss(likelier, unlikelier).item() == pytest.approx(by_hand)


def test_relativistic_signs() -> None:
    real, made = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    relativistic_loss(real, made).backward()
    # The discriminator: real ones up, made ones down.
    assert (real.grad < 0).all() and (made.grad > 0).all()
    made = torch.zeros(4, requires_grad=True)
    relativistic_loss(made, torch.zeros(4)).backward()
    assert (made.grad < 0).all()
    # A shift of both changes nothing: it is relative.
    a, b = torch.randn(5), torch.randn(5)
    assert relativistic_loss(a + 9, b + 9).item() == pytest.approx(relativistic_loss(a, b).item(), rel=1e-4)


@pytest.fixture
def adversary() -> Adversary:
    torch.manual_seed(0)
    return Adversary(Adversarial(channels=4, layers=1))


def images(size: int = 16) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    mr, real = torch.randn(1, 1, size, size, size), torch.randn(1, 1, size, size, size) * 0.1
    return mr, real, torch.ones_like(real)


def test_the_discriminator_sees_patches_of_mr_and_image_as_channels(adversary: Adversary) -> None:
    first = next(iter(adversary.network.children()))
    assert next(first.parameters()).shape[1] == 2
    mr, real, _ = images()
    # More than one logit, so that there is an average at batch 1.
    assert adversary.network(torch.cat([mr, real], dim=1))[-1].numel() > 1


def test_its_optimiser_owns_its_weights_and_nothing_else(adversary: Adversary) -> None:
    owned = {id(one) for group in adversary.optimizer.param_groups for one in group["params"]}
    assert owned == {id(one) for one in adversary.network.parameters()}


def test_a_step_teaches_the_discriminator_and_leaves_the_generator(adversary: Adversary) -> None:
    mr, real, mask = images()
    generator = torch.nn.Conv3d(1, 1, 1)
    made = generator(mr)
    before = [one.detach().clone() for one in adversary.network.parameters()]
    losses = [adversary.step(mr, made, real, mask) for _ in range(15)]
    assert all(one.grad is None for one in generator.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, adversary.network.parameters(), strict=True))
    assert losses[-1] < 0.5 * losses[0]


def test_the_generator_is_moved_and_the_discriminator_is_not(adversary: Adversary) -> None:
    mr, real, mask = images()
    generator = torch.nn.Conv3d(1, 1, 1)
    adversary.step(mr, generator(mr), real, mask)
    adversary.optimizer.zero_grad()
    before = [one.detach().clone() for one in adversary.network.parameters()]
    adversary.generator_loss(mr, generator(mr), real, mask).backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in generator.parameters())
    assert all(one.grad is None for one in adversary.network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, adversary.network.parameters(), strict=True))
    # And it can be taught again afterwards.
    adversary.step(mr, generator(mr), real, mask)
    assert any(not torch.equal(a, b) for a, b in zip(before, adversary.network.parameters(), strict=True))


def test_outside_the_body_nothing_is_compared(adversary: Adversary) -> None:
    mr, real, mask = images()
    mask[..., 8:] = 0
    other = real.clone()
    other[..., 8:] = 5
    assert adversary.generator_loss(mr, other, real, mask).item() == pytest.approx(
        adversary.generator_loss(mr, real, real, mask).item(), abs=1e-6
    )
