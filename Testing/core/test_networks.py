"""The table of known networks."""

from __future__ import annotations

import pytest
import torch

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.networks import NETWORKS, build_network, network_channels

SMALL = {
    "BasicUNet": {"spatial_dims": 3, "in_channels": 2, "out_channels": 1, "features": [4, 4, 4, 4, 4, 4]},
    "UNet": {"spatial_dims": 3, "in_channels": 2, "out_channels": 1, "channels": [4, 8], "strides": [2]},
    "DynUNet": {
        "spatial_dims": 3,
        "in_channels": 2,
        "out_channels": 1,
        "kernel_size": [3, 3, 3],
        "strides": [1, 2, 2],
        "upsample_kernel_size": [2, 2],
        "filters": [4, 8, 8],
    },
    "SegResNet": {"spatial_dims": 3, "in_channels": 2, "out_channels": 1, "init_filters": 8},
    "UNetWithHead": {"spatial_dims": 3, "in_channels": 2, "out_channels": 1, "channels": [4, 8], "strides": [2]},
    "BackboneWithHead": {
        "in_channels": 2,
        "out_channels": 1,
        "backbone": {"name": "BasicUNet", "arguments": {"features": [4, 4, 4, 4, 4, 4]}},
        "head": {"name": "plain"},
    },
}


def test_every_network_of_the_table_is_tested() -> None:
    assert set(SMALL) == set(NETWORKS)


@pytest.mark.parametrize("name", SMALL)
def test_networks_are_built_as_described(name: str) -> None:
    description = {"name": name, "arguments": SMALL[name]}
    network = build_network(description).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 2, 32, 32, 32)).shape == (1, 1, 32, 32, 32)
    assert network_channels(description) == (2, 1)


def test_defaults_of_the_class_count_as_channels() -> None:
    assert network_channels({"name": "BasicUNet"}) == (1, 2)
    with pytest.raises(InputError, match="needs in_channels and out_channels"):
        network_channels({"name": "UNet"})


@pytest.mark.parametrize("name", ["os.system", "monai.networks.nets.UNet", "", None, 3, ["UNet"]])
def test_nothing_outside_the_table_is_built(name) -> None:
    with pytest.raises(InputError, match="There is no network .*BasicUNet"):
        build_network({"name": name, "arguments": {}})


@pytest.mark.parametrize(
    "arguments", [{"bogus": 1}, {"spatial_dims": 7}, {"act": "os.system"}, {"features": "$import os"}, {"features": []}]
)
def test_arguments_that_the_class_refuses_are_bad_input(arguments: dict) -> None:
    with pytest.raises(InputError, match=r"^The network BasicUNet cannot be built with [^\n]*[^.\n]\.$"):
        build_network({"name": "BasicUNet", "arguments": arguments})


def test_arguments_must_have_names() -> None:
    with pytest.raises(InputError, match="must be names with values"):
        build_network({"name": "BasicUNet", "arguments": [3]})
