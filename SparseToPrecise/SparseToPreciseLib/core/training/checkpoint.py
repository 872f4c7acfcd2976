"""A training's state on disk, from which it goes on after Ctrl-C, a kill or a power failure."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..files import reason_of, temporary_prefix

SECONDS_BETWEEN = 30.0
"""Wall time from one writing to the next."""


class Checkpoint:
    """Where the state of one training is kept.

    It holds weights and numbers, no images. The file is replaced whole or not at all.

    Parameters
    ----------
    path
        The file.
    training
        What it is a training of: another one is not taken up.
    resume
        Go on from the file.
    """

    def __init__(self, path: Path, training: str, resume: bool = False) -> None:
        self.path = Path(path)
        self._training = training
        self._resume = resume
        self._written = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._written >= SECONDS_BETWEEN

    def write(self, state: dict[str, Any]) -> None:
        """Keep a state of tensors, numbers and text; a full disk does not end the training."""
        self._written = time.monotonic()
        fresh = self.path.with_name(f"{temporary_prefix()}{self.path.name}")
        try:
            with open(fresh, "wb") as file:
                torch.save({"training": self._training, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
        except OSError:
            fresh.unlink(missing_ok=True)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def read(self) -> dict[str, Any] | None:
        """The state to go on from; None: begin.

        Raises
        ------
        InputError
            There is none though one is wanted, it is damaged, or it is of another training.
        """
        if not self._resume:
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            training, state = content["training"], content["state"]
        except OSError as error:
            raise InputError(f"Could not read {self.path}: {reason_of(error)}.") from error
        except Exception as error:  # whatever torch stumbles over in a damaged file
            raise InputError(f"{self.path} is no checkpoint of a training, or damaged; leave --resume out.") from error
        if training != self._training:
            raise InputError(
                f"{self.path} is of a training with other options or cases; give the same ones, or leave --resume out."
            )
        return state

    def remove(self) -> None:
        """Take the file away, when the bundle is there."""
        self.path.unlink(missing_ok=True)
