"""Commands made of tasks: a task's fields are the options, its docstring is the help."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from ..tasks.task import Argument, Option, Task
from .reporting import ProgressMode, reporting

_Progress = Annotated[ProgressMode, typer.Option(help="How to tell of progress.")]


def command(task: type[Task]) -> Callable[..., None]:
    """The function of a typer command that runs a task, reports its progress and shows what came out."""
    fields = [_Field(field, annotation) for field, annotation in _annotated(task)]

    def call(progress: ProgressMode, **typed: Any) -> None:
        with reporting(progress) as reporter:
            reporter.progress(0.0, "starting")
            outcome = task(**{field.name: field.value(typed[field.parameter.name]) for field in fields}).run(
                reporter.progress
            )
            reporter.finish(outcome.report, kept=outcome.kept)
        reporter.show(*outcome.shown(), kept=outcome.kept)

    told = inspect.Parameter("progress", inspect.Parameter.KEYWORD_ONLY, default=ProgressMode.BAR, annotation=_Progress)
    call.__signature__ = inspect.Signature([*(field.parameter for field in fields), told])
    call.__annotations__ = {name: one.annotation for name, one in call.__signature__.parameters.items()}
    call.__doc__ = re.split(r"\n\s*\w+\n\s*-{3,}\n", inspect.cleandoc(task.__doc__))[0].strip()
    return call


class _Field:
    """A field of a task as a parameter of a typer command.

    Attributes
    ----------
    name
        Of the field.
    parameter
        What typer reads.
    """

    def __init__(self, field: dataclasses.Field, annotation: Any) -> None:
        kind, self._told = typing.get_args(annotation)
        self.name = field.name
        self._several = typing.get_origin(kind) in (tuple, Sequence) and not self._parses
        self._negated = kind is bool and field.default is True
        if isinstance(self._told, Argument):
            declared = typer.Argument(metavar=self._told.metavar, help=self._told.help, show_default=False)
        else:
            # Of a switch, typer would make the opposite one by itself.
            names = self._told.names or (f"--{self.name.replace('_', '-')}",)
            callback = self._parsed_at_once if typing.get_origin(self._told.typed) is tuple else None
            declared = typer.Option(*names, metavar=self._told.metavar, help=self._told.help, callback=callback)
        self.parameter = inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self._default(field.default),
            annotation=Annotated[self._typed(kind), declared],
        )

    @property
    def _parses(self) -> Callable[[Any], Any] | None:
        return getattr(self._told, "parse", None)

    def value(self, typed: Any) -> Any:
        """The field's value of what was typed."""
        if isinstance(typed, Enum):
            return typed.value
        if self._negated:
            return not typed
        if self._several:
            return tuple(typed or ())
        return self._parses(typed) if self._parses and isinstance(typed, str) else typed

    def _typed(self, kind: Any) -> Any:
        if isinstance(self._told, Option) and self._told.choices:
            return Enum(self.name, [(choice, choice) for choice in self._told.choices], type=str)
        if self._several:
            several = list[typing.get_args(kind)[0]]
            return several if isinstance(self._told, Argument) else several | None
        typed = getattr(self._told, "typed", None)
        if typed is None:
            return kind
        return typed | None if type(None) in typing.get_args(kind) else typed

    def _default(self, default: Any) -> Any:
        if default is dataclasses.MISSING:
            return inspect.Parameter.empty
        if self._negated:
            return False
        if self._several and not default:
            return None
        return ",".join(default) if self._parses and isinstance(default, tuple) else default

    def _parsed_at_once(self, typed: Any) -> Any:
        """At the option itself: an option that fewer values have swallowed would be told as missing otherwise."""
        try:
            return None if typed is None else self._parses(typed)
        except InputError:
            raise
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None


def _annotated(task: type[Task]) -> list[tuple[dataclasses.Field, Any]]:
    hints = typing.get_type_hints(task, include_extras=True)
    return [(field, hints[field.name]) for field in dataclasses.fields(task)]
