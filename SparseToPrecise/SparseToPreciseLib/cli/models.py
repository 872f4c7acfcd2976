"""`sparse-to-precise models`: which bundles are there, what they say of themselves, whether they are whole."""

from __future__ import annotations

from typing import Annotated

import typer

models_app = typer.Typer(help="The model bundles that are installed.")

_Bundle = Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or folder of a bundle.", show_default=False)]

_WITHOUT_MODEL = {
    "image-aware-warp": "Moves the boundary onto the stroke; around it, the image's intensities say how far.",
    "signed-distance-warp": "Moves the boundary onto the stroke, without looking at the image.",
    "--proposal FILE": "Takes over near each stroke what another tool's segmentation has there; no name of a model.",
}


@models_app.command("list")
def list_models() -> None:
    """List the bundles, the user's own and the ones that came with the software, and the editors without a model."""
    from rich.console import Console
    from rich.table import Table

    from ..core.bundles import bundle_folders, open_bundle
    from ..core.errors import InputError
    from ..editing.model import DEFAULT_EDITOR
    from ..families import FAMILIES

    def marked(name: str, default: bool) -> str:
        return f"{name} (default)" if default else name

    defaults = {row.default_model for row in FAMILIES.values()}
    table = Table()
    for title in ("name", "family", "version", "trained on", "folder"):
        table.add_column(title, overflow="fold")
    for folder in bundle_folders():
        try:
            bundle = open_bundle(folder)
        except InputError as error:
            table.add_row(folder.name, "refused", "", str(error), str(folder))
            continue
        metadata = bundle.metadata
        table.add_row(
            marked(bundle.name, bool(defaults & {folder.name, bundle.name})),
            bundle.family,
            str(metadata.get("version", "")),
            str(metadata.get("data_source", "")),
            str(folder),
        )
    without = Table(title="Editors without a model")
    for title in ("name", "what it does"):
        without.add_column(title, overflow="fold")
    for name, text in _WITHOUT_MODEL.items():
        without.add_row(marked(name, name == DEFAULT_EDITOR), text)
    Console(highlight=False, markup=False).print(table, without)


@models_app.command()
def show(bundle: _Bundle) -> None:
    """Show a bundle's model card."""
    from rich.console import Console
    from rich.markdown import Markdown

    from ..core.bundles import open_bundle

    opened = open_bundle(bundle)
    console = Console(highlight=False, markup=False)
    console.print(Markdown(opened.card))
    console.print(f"\nFolder: {opened.path}\nSHA-256 of the weights: {opened.sha256}", soft_wrap=True)


@models_app.command()
def verify(bundle: _Bundle) -> None:
    """Check a bundle: all files there, the weights' SHA-256, plain weights that fit the network. None of it is run."""
    from ..core.bundles import open_bundle
    from ..families import FAMILIES

    opened = open_bundle(bundle)
    opened.verify()
    if opened.family in FAMILIES:
        # What else the family needs: its parameters, and a template's annotated images with their hashes.
        FAMILIES[opened.family].load(str(opened.path), "cpu")
    print(f"{opened.name} is in order: {opened.path}, SHA-256 {opened.sha256}.")
