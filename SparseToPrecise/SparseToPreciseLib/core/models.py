"""A bundle as a model that runs: its parameters are read or refused, its network knows where it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from ..families import FAMILIES
from .bundles import Bundle, find_bundles, open_bundle, refusal, user_folder
from .devices import Device, choose_device, run_with_fallback
from .errors import InputError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
KEPT = 4
"""Opened models, of all families together."""


class OpenedModel:
    """Common part of the models of all families; a family's own adds what it computes.

    Parameters
    ----------
    bundle
        Whose parameters are in order, see `reading_parameters`.
    device
        Where it runs; falls back to the CPU when the GPU's memory does not suffice, and says so in `note`.
    in_channels, out_channels
        What the family feeds and expects.

    Attributes
    ----------
    name, sha256
        Of the bundle, and of its weights.
    network
        In evaluation mode.

    Raises
    ------
    InputError
        The weights are refused.
    """

    def __init__(self, bundle: Bundle, device: Device, in_channels: int, out_channels: int) -> None:
        self.name = bundle.name
        self.sha256 = bundle.sha256
        self.network = bundle.load_network(in_channels, out_channels)
        self._device = device

    @property
    def device(self) -> str:
        """Where it runs, or ran last, as torch names it."""
        return self._device.name

    @property
    def note(self) -> str:
        """A sentence for the user when that is not what they asked for; else empty."""
        return self._device.note

    def run(self, function: Callable[[torch.device], T]) -> T:
        """The result of a function on the model's device, or on the CPU where the memory of that runs out."""
        result, self._device = run_with_fallback(function, self._device)
        return result


@contextmanager
def reading_parameters(bundle: Bundle, kind: str = "bundle") -> Iterator[dict[str, Any]]:
    """The parameters of a bundle; what goes wrong while they are read refuses it.

    Parameters
    ----------
    kind
        What the user calls it.

    Raises
    ------
    InputError
        Naming the bundle, with the reason of an `InputError` within, or what is missing or of the wrong kind.
    """
    try:
        yield bundle.parameters
    except InputError as error:
        raise refusal(bundle, str(error), kind) from error
    # An OverflowError is int() of what JSON writes as 1e999.
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise refusal(bundle, f"its parameters are not in order ({error!r})", kind) from error


def open_model(
    made: Callable[[Bundle, Device], T],
    model: str | os.PathLike[str],
    family: str,
    device: str,
    needed_bytes: int,
) -> T:
    """A model of a bundle, on a device that is there.

    Parameters
    ----------
    made
        Makes it: the family's class.
    model
        Name or folder of the bundle.
    family
        Which it must be of.
    device
        auto, cpu, cuda, cuda:N or mps.
    needed_bytes
        Memory that a GPU must have free.

    Raises
    ------
    InputError
        No such bundle, it is refused, or the device is not there.
    """
    chosen = choose_device(device, needed_bytes)
    return made(open_bundle(model, family), chosen)


def bundles_for(family: str) -> list[Bundle]:
    """The bundles that do a family's work, in the order in which they are offered: the user's own of the family, the
    default, the others of the family, and those of families that do its work, too."""
    row = FAMILIES[family]

    def place(bundle: Bundle) -> int:
        own, default = bundle.path.parent == user_folder(), bundle.path.name == row.default_model
        if bundle.family == family:
            return 0 if own else 1 if default else 2
        return 1 if default and not own else 3

    return sorted(find_bundles(row.served_by), key=place)


def opened(family: str, model: str | os.PathLike[str] | None = None, device: str = "auto") -> Any:
    """A model of a family that stays loaded in this process, until it is trained again or others are used.

    Parameters
    ----------
    family
        A key of `families.FAMILIES`.
    model
        Name or folder of the bundle; None: the family's default.
    device
        auto, cpu, cuda, cuda:N or mps.

    Raises
    ------
    InputError
        No such bundle, it is refused, or the device is not there.
    """
    wanted = model or FAMILIES[family].default_model
    if not wanted:
        raise InputError(f"No model of the family {family} came with the software; choose a bundle, or train one.")
    bundle = open_bundle(wanted, FAMILIES[family].served_by)
    return _opened(family, str(bundle.path), bundle.sha256, device)


# The hash is part of the key: a bundle that was trained again is loaded again.
@lru_cache(maxsize=KEPT)
def _opened(family: str, path: str, sha256: str, device: str) -> Any:
    return FAMILIES[family].load(path, device)
