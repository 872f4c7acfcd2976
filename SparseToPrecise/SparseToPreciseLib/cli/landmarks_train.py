"""`sparse-to-precise landmarks train`: a template of landmarks from one annotated image, or from a few."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import Cancelled, InputError
from ..core.stopping import ending_early
from .reporting import ProgressMode, reporting, without_nan
from .train_options import ToldProgress, UsedDevice


def train(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="The annotated image: .nrrd, .nii, .nii.gz or .mha.", show_default=False),
    ],
    points: Annotated[
        Path, typer.Argument(metavar="LANDMARKS", help="A point list: .mrk.json or .fcsv.", show_default=False)
    ],
    soi: Annotated[
        Path, typer.Option(metavar="SEG", help="Segmentation or labelmap of the structure of interest in IMAGE.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="TEMPLATE", help="Folder for the template.")],
    segment: Annotated[
        str | None,
        typer.Option(help="ID, name or label value of the segment in every SEG; needed when there are several."),
    ] = None,
    validation_image: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="Another image, on which training is watched.")
    ] = None,
    validation_soi: Annotated[
        Path | None, typer.Option(metavar="SEG", help="The structure of interest in the validation image.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="IMAGE:LANDMARKS:SEG", help="A further annotated image; may be given several times."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps.", show_default=False)] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="End after so much computing time.", show_default=False)
    ] = None,
    keep_on_cancel: Annotated[
        bool,
        typer.Option(
            "--keep-on-cancel",
            help='On Ctrl-C, or "end" on standard input, write the template with the best weights so far.',
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    device: UsedDevice = "auto",
    progress: ToldProgress = ProgressMode.BAR,
) -> None:
    """Teach a template from one annotated image, or from a few.

    With --progress json, the line after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter, ending_early() if keep_on_cancel else nullcontext() as asked:
        reporter.progress(0.0, "starting")
        from ..tasks.landmarks_train import TrainRequest, train_files

        request = TrainRequest(
            image=image,
            landmarks=points,
            soi=soi,
            segment=segment,
            output=output,
            validation_image=validation_image,
            validation_soi=validation_soi,
            references=tuple(reference or ()),
            steps=steps,
            minutes=minutes,
            seed=seed,
            device=device,
            keep_on_cancel=keep_on_cancel,
        )
        try:
            bundle = train_files(
                request,
                reporter.progress if asked is None else reporter.progress.also(asked),
                lambda row: reporter.add_to_next_step(validation=without_nan(row)),
            )
        except Cancelled as error:
            raise InputError(
                "The training was ended before there was anything to keep; nothing was written."
            ) from error
        trained, notes = bundle.metadata["training"], bundle.parameters["notes"]
        reporter.finish({"template": str(output), "name": bundle.name, "training": trained, "warnings": notes})
    reporter.show(
        *(["Ended early, as was asked for; the template holds the best weights until then."] * trained["cancelled"]),
        f"Trained in {trained['steps']} steps ({trained['minutes']:.1f} minutes of computing time) on "
        f"{trained['device']}; Dice {trained['best']['dice']:.2f} on {trained['validated_on']}.",
        *notes,
        f"Written: {output} (it holds the reference image)",
    )
