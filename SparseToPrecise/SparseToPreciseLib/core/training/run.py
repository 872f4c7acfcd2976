"""One training under way: where it computes, among how many processes, and what is refused before it begins."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from torch import distributed

from ..devices import choose_device
from ..progress import Progress
from .writing import check_bundle_target

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One training under way.

    Attributes
    ----------
    output
        The bundle's folder.
    device
        As PyTorch names it.
    rank, processes
        This process among all that train together; 0 of 1 where it is alone.
    progress
        Silent in all processes but the first.
    started
        `time.perf_counter` at the beginning.
    """

    output: Path
    device: str
    rank: int
    processes: int
    progress: Progress
    started: float
    _lasting: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def first(self) -> bool:
        """Whether this process makes and writes what is needed once."""
        return self.rank == 0

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self.started

    def wait(self) -> None:
        """Until all processes are here."""
        if self.processes > 1:
            distributed.barrier()

    def while_it_lasts(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that is left when the training ends."""
        return self._lasting.enter_context(context)


@contextmanager
def training_run(
    output: str | os.PathLike[str], family: str, device: str, progress: Progress | None, needed_bytes: int = 0
) -> Iterator[Run]:
    """Around a training: everything that can be refused is refused before it, and all processes end together.

    Raises
    ------
    InputError
        See `check_bundle_target` and `choose_device`.
    """
    output = Path(output).absolute()
    several = distributed.is_available() and distributed.is_initialized()
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if several else (0, 1)
    if rank == 0:
        check_bundle_target(output, family)
    # One voice is enough.
    heard = (progress or Progress()) if rank == 0 else Progress()
    run = Run(output, choose_device(device, needed_bytes).name, rank, processes, heard, time.perf_counter())
    with run._lasting:
        yield run
    run.wait()
    heard.to_the_end()(1.0, f"written: {output}")
