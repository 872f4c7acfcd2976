"""A task: a dataclass whose fields are the options of a command, and which has `run`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ..core.errors import InputError
from ..core.progress import Progress, timed
from .outputs import Writer, json_writer, rounded, write_outputs


@dataclass(frozen=True)
class Argument:
    """A field that the command line takes by its place.

    Attributes
    ----------
    metavar
        Its name in the help.
    help
        A phrase for the help.
    """

    metavar: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Option:
    """A field that the command line takes by its name.

    Attributes
    ----------
    help
        A phrase for the help.
    names
        How it is written; empty: as the field, with two hyphens. A switch whose field is true takes the opposite.
    metavar
        What stands for its value in the help.
    choices
        The values that it may have.
    typed
        The type of what is typed, where that is not the field's.
    parse
        Makes the field's value of it; raises `InputError`.
    """

    help: str
    names: tuple[str, ...] = ()
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    typed: Any = None
    parse: Callable[[Any], Any] | None = None


ImageFile = Annotated[Path, Argument("IMAGE", "The image: .nrrd, .nii, .nii.gz or .mha.")]
DeviceName = Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.")]


class Task(ABC):
    """Base of all tasks, which are frozen dataclasses: files that are read, files that are written, options.

    The first paragraphs of a task's docstring are the command's help.
    """

    @abstractmethod
    def run(self, progress: Progress | None = None) -> Outcome:
        """Do it. Either every file that is asked for is written, or none; a batch says in its help what it does.

        Raises
        ------
        InputError
            An option, an input or an output is not as it should be; nothing has been written.
        """


@dataclass(frozen=True, kw_only=True)
class Outcome(ABC):
    """Outcome of a task.

    Attributes
    ----------
    report
        The content of --report, with the time for writing, which the file itself cannot have.
    """

    report: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether files hold what came out, so that nothing is lost where it cannot be shown."""
        return True

    @abstractmethod
    def shown(self) -> Sequence[Any]:
        """Tables and sentences for people."""


@dataclass(frozen=True, kw_only=True)
class ReportedOutcome(Outcome):
    """Outcome of a task that has --report: lengths in mm, volumes in mm^3, places in RAS, times in seconds."""

    @property
    @abstractmethod
    def warnings(self) -> list[str]:
        """Sentences for the user, each once."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """The content of the report besides versions, timings and warnings."""

    def make_report(self, timings: dict[str, float]) -> None:
        """Fill the report; `timings` are seconds by stage."""
        from ..core.software import software

        ends = {"timings": rounded(timings), "warnings": self.warnings}
        self.report.update({"versions": software(), **self.as_json(), **ends})

    def write(
        self, progress: Progress, timings: dict[str, float], report: Path | None, *outputs: tuple[Path | None, Writer]
    ) -> None:
        """Write the outputs and the report, all or none; the time for that is added to the report afterwards."""
        self.make_report(timings)
        with timed(timings, "write"):
            progress(0.9, "writing")
            write_outputs(*outputs, (report, json_writer(self.report)))
        self.report["timings"] |= rounded(timings)
        progress(1.0, "done")


def run(request: Task, progress: Progress | None = None, **more: Any) -> Outcome:
    """Run a task: the function of the bundles that former versions wrote."""
    return request.run(progress, **more)


def several_failed(errors: Sequence[str], what: str) -> InputError:
    """The error of a batch of which nothing could be used: the first reason, and how many there were."""
    more = f" ({len(errors)} {what}, none of which can be used)" if len(errors) > 1 else ""
    return InputError(f"{errors[0].rstrip('.')}{more}.")
