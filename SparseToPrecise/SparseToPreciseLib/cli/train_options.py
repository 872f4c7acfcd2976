"""Common part of the training commands of all families: their options, declared once, and their running."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ..core.bundles import Bundle
from ..core.errors import Cancelled, InputError
from ..core.stopping import Stopped, ending_early
from .reporting import ProgressMode, reporting, without_nan

Phantoms = Annotated[
    int | None, typer.Option(metavar="N", help="Train on N procedural phantoms. Default: the recipe's number.")
]

Anatomy = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Train on real anatomy, too: a folder of labelled images with a table.tsv (docs/anatomy.md). Default: "
        "phantoms alone.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of every `train FAMILY`."""

    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder for the model bundle.")]
    start_from: Annotated[
        str | None,
        typer.Option(metavar="BUNDLE", help="Begin with the weights of this bundle, which has the same network."),
    ] = None
    epochs: Annotated[float | None, typer.Option(help="End after so many passes over the cases.")] = None
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps.")] = None
    minutes: Annotated[
        float | None,
        typer.Option(help="End after so much computing time, the making of cases not counted. Default: the recipe's."),
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random. Default: the recipe's.")] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    keep_on_cancel: Annotated[
        bool,
        typer.Option(
            "--keep-on-cancel",
            help='On Ctrl-C, or "end" on standard input, write the bundle with the best weights so far.',
        ),
    ] = False
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the training's state is kept every half minute until the bundle is written. Default: "
            "BUNDLE.checkpoint beside it.",
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the state of a training with the same options that was stopped."),
    ] = False
    progress: Annotated[ProgressMode, typer.Option(help="How to tell of progress.")] = ProgressMode.BAR


@dataclass(frozen=True)
class Training:
    """Arguments that a family's command has made of its own options.

    Attributes
    ----------
    given
        For `core.training.recipe.train`.
    result
        Gives further fields of the result in JSON mode, from the bundle.
    lines
        Gives the sentences for people, from the bundle.
    """

    given: dict[str, Any]
    lines: Callable[[Bundle], list[str]]
    result: Callable[[Bundle], dict[str, Any]] = field(default=lambda bundle: {})


def training_command(family: str) -> Callable[[Callable[..., Training]], Callable[..., None]]:
    """Make a command of a function of a family's own options: it gets those of `TrainOptions`, too, and trains.

    Where the function has one of those among its parameters, it is told its value.
    """

    def made(own: Callable[..., Training]) -> Callable[..., None]:
        alike = {one.name for one in fields(TrainOptions)}
        # What it asks for besides its own.
        shared = alike & inspect.signature(own).parameters.keys()

        def command(**given: Any) -> None:
            options = TrainOptions(**{name: given.pop(name) for name in alike})
            _train(family, options, lambda: own(**given, **{name: getattr(options, name) for name in shared}))

        hints = {kind: get_type_hints(kind, include_extras=True) for kind in (own, TrainOptions)}
        parameters = [
            inspect.Parameter(one.name, one.KEYWORD_ONLY, default=one.default, annotation=hints[kind][one.name])
            for kind in (own, TrainOptions)
            for one in inspect.signature(kind).parameters.values()
            if kind is TrainOptions or one.name not in shared
        ]
        command.__signature__ = inspect.Signature(parameters)
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__name__, command.__doc__ = family, own.__doc__
        return command

    return made


def _train(family: str, options: TrainOptions, own: Callable[[], Training]) -> None:
    output = options.output.absolute()
    checkpoint = options.checkpoint or output.with_name(f"{output.name}.checkpoint")
    early = ending_early() if options.keep_on_cancel else nullcontext()
    with reporting(options.progress) as reporter, early as asked:
        reporter.progress(0.0, "starting")
        training = own()
        from ..core.training.recipe import train

        try:
            bundle = train(
                family,
                options.output,
                minutes=options.minutes,
                epochs=options.epochs,
                steps=options.steps,
                seed=options.seed,
                start=options.start_from,
                device=options.device,
                keep_on_cancel=options.keep_on_cancel,
                checkpoint=checkpoint,
                resume=options.resume,
                progress=reporter.progress if asked is None else reporter.progress.also(asked),
                validated=lambda row: reporter.add_to_next_step(validation=without_nan(row)),
                **training.given,
            )
        except Cancelled as error:
            raise InputError(
                "The training was ended before there was anything to keep; nothing was written."
            ) from error
        except Stopped as stopped:
            if checkpoint.is_file():
                stopped.left = f"no bundle was written, but --resume goes on from {checkpoint}."
            raise
        trained = bundle.metadata["training"]
        left_out = [sentence for cases in training.given.values() for sentence in getattr(cases, "left_out", ())]
        result = {"bundle": str(options.output), "name": bundle.name, "sha256": bundle.sha256, "training": trained}
        result |= {"left_out": left_out} if left_out else {}
        reporter.finish({**result, **training.result(bundle)})
    ended = ["Ended early, as was asked for; the bundle holds the best weights until then."]
    docs = options.output / "docs"
    reporter.show(
        *(ended * trained["cancelled"]),
        *left_out,
        *training.lines(bundle),
        f"Written: {options.output} (log and curve in {docs})",
    )


def trained_on(bundle: Bundle, what: str, best: str) -> list[str]:
    """Sentences on a training: its data, and its best validation.

    Parameters
    ----------
    what
        Key of the number of cases in the bundle's "training".
    best
        For `str.format`, with the numbers of the best validation.
    """
    trained = bundle.metadata["training"]
    return [
        f"Trained on {trained['data']}: {trained[what]} {what}, {trained['steps']} steps, on {trained['device']}.",
        best.format(**trained["best"]),
    ]


def refuse_both(given: Path | None, other: Any, *, name: str = "dataset", other_name: str = "phantoms") -> None:
    """Raise the `InputError` of a command that was given two options of which each says what to train on."""
    if given is not None and other is not None:
        raise InputError(f"--{name} {given} and --{other_name} {other} exclude each other; give one of them.")
