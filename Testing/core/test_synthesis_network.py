"""Heads on any backbone: channels, counts of weights, what they add up to; and the benchmark's rivals of them."""

from __future__ import annotations

import pytest
import torch
from benchmarks.synthesis import rivals

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.synthesis.network import (
    BACKBONES,
    HEADS,
    MIDDLE,
    BackboneWithHead,
    FrequencyHeads,
    PlainHead,
    SymmetricFactorisation,
    build_backbone,
)

ARGUMENTS = {
    "BasicUNet": {"features": [4, 4, 8, 8, 8, 6]},
    "SegResNet": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
}
WIDTHS = {"BasicUNet": 6, "SegResNet": 8}


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("kernel", [3, 7, 13, 19])
def test_the_refinement_has_nine_convolutions_and_the_papers_count(kernel: int) -> None:
    module = SymmetricFactorisation(32, kernel)
    assert count(module) == 9 * kernel * 32**2
    assert sum(isinstance(one, torch.nn.Conv3d) for one in module.modules()) == 9


def test_the_papers_table_2() -> None:
    # 119.8k and 175.1k as printed; its "K=3, 64.5k" is K=7.
    counts = {kernel: round(count(SymmetricFactorisation(32, kernel)) / 1000, 1) for kernel in (7, 13, 19)}
    assert counts == {7: 64.5, 13: 119.8, 19: 175.1}


def test_chains_run_through_the_axes_in_cyclic_order() -> None:
    chains = SymmetricFactorisation(2, 5).chains
    sizes = [[one.kernel_size for one in chain.modules() if isinstance(one, torch.nn.Conv3d)] for chain in chains]
    along_k, along_j, along_i = (5, 1, 1), (1, 5, 1), (1, 1, 5)
    assert sizes == [[along_k, along_j, along_i], [along_j, along_i, along_k], [along_i, along_k, along_j]]


@pytest.mark.parametrize("kernel", [3, 5, 7, 13, 19])
def test_the_matched_control_has_exactly_as_many_weights(kernel: int) -> None:
    extra = count(rivals.MatchedHead(8, kernel)) - count(PlainHead(8))
    assert extra == count(SymmetricFactorisation(8, kernel))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", HEADS)
def test_every_head_fits_every_backbone(backbone: str, head: str) -> None:
    channels = 3 if head == "frequency" else 1
    description = {
        "name": "BackboneWithHead",
        "arguments": {
            "in_channels": 1,
            "out_channels": channels,
            "backbone": {"name": backbone, "arguments": ARGUMENTS[backbone]},
            "head": {"name": head},
        },
    }
    network = build_network(description)
    image = torch.randn(1, 1, 32, 48, 32)
    said = network(image)
    assert said.shape == (1, channels, 32, 48, 32)
    said.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.head.parameters())
    # Whatever the backbone, no weight of it is left that cannot learn.
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


@pytest.mark.parametrize("name", BACKBONES)
def test_the_backbone_gives_the_features_before_its_last_layer(name: str) -> None:
    backbone, features = build_backbone(name, 1, ARGUMENTS[name])
    assert features == WIDTHS[name]
    with torch.no_grad():
        assert backbone(torch.randn(1, 1, 32, 32, 32)).shape == (1, features, 32, 32, 32)


def test_probability_is_one_and_the_bands_share_the_features() -> None:
    head = FrequencyHeads(4, 3)
    with torch.no_grad():
        head.decomposition.weight.zero_()
        head.decomposition.bias.copy_(torch.tensor([20.0, -20.0]))
        low, high, probability = head(torch.randn(1, 4, 8, 8, 8))[0]
    assert probability.max() < 1e-6
    # Nothing is left for the high band, so that it is the constant of its last layer.
    assert high.std() < 1e-4
    assert low.std() > 0.001


def test_an_untrained_head_says_soft_tissue() -> None:
    features = torch.zeros(1, 4, 8, 8, 8)
    with torch.no_grad():
        for head in (PlainHead(4), rivals.MatchedHead(4), rivals.BoundaryHead(4)):
            assert torch.allclose(head(features), torch.tensor(MIDDLE), atol=0.15)
        low, high, _ = FrequencyHeads(4, 3)(features)[0]
        assert torch.allclose(low, torch.tensor(MIDDLE)) and torch.allclose(high, torch.zeros(()))


def test_soft_tissue_stays_precise_under_autocast() -> None:
    torch.manual_seed(0)
    head = PlainHead(4)
    with torch.no_grad():
        features = torch.randn(1, 4, 16, 16, 16)
        head.image.weight *= 0.02  # within some 40 HU
        exact = head(features)
        with torch.autocast("cpu", torch.bfloat16):
            said = head(features)
    assert said.dtype == torch.float32 and exact.std() * 4024 > 1
    # One step of bfloat16 near 0.25 is 8 HU.
    assert (said - exact).abs().max() * 4024 < 0.5


def test_refusals() -> None:
    arguments = {"in_channels": 1, "out_channels": 1, "backbone": {"name": "BasicUNet"}, "head": {"name": "plain"}}
    for change, message in (
        ({"backbone": {"name": "os.system"}}, "no backbone 'os.system'"),
        ({"head": {"name": "os.system"}}, "no head 'os.system'"),
        ({"out_channels": 3}, "1 channels, not 3"),
        ({"head": {"name": "frequency", "arguments": {"kernel": 4}}}, "must be odd, not 4"),
    ):
        with pytest.raises(InputError, match=message):
            build_network({"name": "BackboneWithHead", "arguments": arguments | change})
    with pytest.raises(ValueError, match="no head"):
        BackboneWithHead(**(arguments | {"head": {"name": "x"}}))


def test_gradient_difference() -> None:
    gradient_difference = rivals.gradient_difference
    ramp = torch.arange(4.0).expand(1, 1, 4, 4, 4)
    mask = torch.ones_like(ramp)
    assert gradient_difference(ramp + 7, ramp, mask).item() == 0.0
    # Only how steep counts, not where to.
    assert gradient_difference(-ramp, ramp, mask).item() == 0.0
    # Along one of three axes it is twice as steep.
    assert gradient_difference(2 * ramp, ramp, mask).item() == pytest.approx(1 / 3)
    outside = mask.clone()
    outside[..., 2:] = 0
    steep = ramp.clone()
    steep[..., 3] = 50
    assert gradient_difference(steep, ramp, outside).item() == 0.0


@pytest.mark.parametrize("head", ["boundary", "matched"])
def test_rivals_fit_their_backbone_and_no_bundle_may_ask_for_them(head: str, monkeypatch) -> None:
    arguments = {
        "in_channels": 1,
        "out_channels": 1,
        "backbone": {"name": "FCNet", "arguments": {"channels": 5, "layers": 2}},
        "head": {"name": head},
    }
    with pytest.raises(InputError, match="no backbone 'FCNet'"):
        build_network({"name": "BackboneWithHead", "arguments": arguments})
    for table, more in ((BACKBONES, rivals.RIVAL_BACKBONES), (HEADS, rivals.RIVAL_HEADS)):
        for name, value in more.items():
            monkeypatch.setitem(table, name, value)
    network = build_network({"name": "BackboneWithHead", "arguments": arguments})
    network(torch.randn(1, 1, 16, 16, 16)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
