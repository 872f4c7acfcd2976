"""Entry point of `sparse-to-precise`: commands, exit codes, and errors in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from .. import __version__
from ..core.errors import Cancelled, InputError
from ..core.stopping import Stopped, stoppable
from ..families import FAMILIES, resolved
from ..tasks.benchmark import Benchmark
from ..tasks.compare import Compare
from ..tasks.demo import Demo
from .apps import app, evaluate_app, train_app
from .commands import command
from .models import models_app
from .planes import planes_app
from .reporting import missing_packages_named
from .streams import give_up, prepare, say

BAD_INPUT = 2

for commands in dict.fromkeys(row.commands for row in FAMILIES.values()):
    resolved(commands)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(models_app, name="models")
app.add_typer(planes_app, name="planes")
app.command("benchmark")(command(Benchmark))
app.command("compare")(command(Compare))
app.command("demo")(command(Demo))


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
    # Taken out of the arguments by run(), wherever it stands; declared here for --help.
    debug: bool = typer.Option(False, "--debug", help="Show warnings, and the whole traceback of an error."),
) -> None:
    """Options before a command."""
    if version:
        print(f"sparse-to-precise {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Without the program's name; None takes those of the process.

    Returns
    -------
    int
        0; 2 after bad input or an unexpected error, with one sentence on stderr (and the traceback with --debug), or
        when what came out could only be shown, and nobody reads it; 128 + the signal after Ctrl-C (130), a request to
        terminate (143) or the end of the terminal (129).
    """
    prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if not debug:
        _silence()
    try:
        _refuse_empty(given)
        with stoppable(), missing_packages_named():
            code = app(
                [argument for argument in given if argument != "--debug"],
                prog_name="sparse-to-precise",
                standalone_mode=False,
            )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except Stopped as stopped:
        say(f"Stopped; {stopped.left}")
        return 128 + stopped.signal
    except Cancelled:
        say("Cancelled; nothing was written.")
        return BAD_INPUT
    except BrokenPipeError:  # nobody reads any more, as in `… | head`
        give_up(sys.stdout)
        return BAD_INPUT
    except Exception as error:
        if debug:
            raise
        say(_sentence(error))
        return BAD_INPUT


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise the `InputError` of an empty text, which as a path would be the current folder."""
    for before, text in zip(["", *arguments], arguments, strict=False):
        if not text or (text.startswith("--") and text.endswith("=")):
            what = text.rstrip("=") or (before if before.startswith("-") else "An argument")
            raise InputError(f"{what} is empty; give it a value, or leave it out.")


def _sentence(error: Exception) -> str:
    if isinstance(error, InputError):
        text = str(error)
    elif hasattr(error, "format_message"):  # typer's errors of usage, whose classes differ between its versions
        text = error.format_message().replace("Value error, ", "").rstrip(".") + "; see sparse-to-precise --help."
    else:
        what = f"{type(error).__name__}: {error}".rstrip(": .")
        text = f"Something went wrong that should not have ({what}); run again with --debug for the details."
    return " ".join(text.split())


def _silence() -> None:
    """Keep the libraries' warnings off stderr, which carries at most one sentence."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    if not logging.getLogger().handlers:  # else Python prints warnings to stderr
        logging.getLogger().addHandler(logging.NullHandler())


if __name__ == "__main__":
    sys.exit(run())
