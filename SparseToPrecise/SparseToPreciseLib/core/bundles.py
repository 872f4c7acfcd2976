"""Model bundles: finding them, checking them, and loading weights without running anybody's code.

A bundle is a MONAI bundle folder. Its weights are read only when their SHA-256 is the one in its metadata, as plain
tensors (`weights_only`), into a network of our own table. The expressions in its configs belong to MONAI's launcher
and are never evaluated here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, as_reason, one_line
from .networks import build_network, network_channels

if TYPE_CHECKING:
    import torch

METADATA = "configs/metadata.json"
WEIGHTS = "models/model.pt"
CARD = "docs/README.md"
LAYOUT = (METADATA, "configs/inference.json", "configs/train.json", WEIGHTS, CARD)
"""Files of every bundle, relative to its folder."""

USER_FOLDER_VARIABLE = "SPARSE_TO_PRECISE_MODELS"

Families = str | tuple[str, ...]
"""One family's name, or those of several."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose layout and metadata are in order; its weights are checked when they are read.

    Attributes
    ----------
    path
        Its folder.
    metadata
        The whole configs/metadata.json.
    """

    path: Path
    metadata: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or self.path.name)

    @property
    def label(self) -> str:
        """The name, with the folder's where that is another: only folders are unique."""
        return self.name if self.name == self.path.name else f"{self.name} ({self.path.name})"

    @property
    def family(self) -> str:
        return self.metadata["family"]

    @property
    def sha256(self) -> str:
        """Hash of the weights, as the metadata give it."""
        return self.metadata["weights_sha256"]

    @property
    def parameters(self) -> dict[str, Any]:
        """Values that the family's algorithm needs of the model."""
        return self.metadata.get("parameters", {})

    @property
    def licence(self) -> str:
        """Licence of the bundle; MONAI's key for it is "copyright"."""
        return str(self.metadata.get("license") or self.metadata.get("copyright") or "")

    @property
    def card(self) -> str:
        """The model card (Markdown)."""
        return (self.path / CARD).read_text(encoding="utf-8")

    def verify(self) -> None:
        """Check everything that can be checked without trusting the bundle: the hashes, the weights, the network.

        Raises
        ------
        InputError
            Naming the bundle and the first thing that is wrong.
        """
        wrong = self.wrong_files()
        if wrong:
            raise refusal(self, wrong)
        self.load_network()

    def wrong_files(self) -> str:
        """Why the files besides the weights, whose SHA-256 its parameters give, are not in order; "": they are."""
        hashes = self.parameters.get("files_sha256", {})
        if not isinstance(hashes, dict):
            return "the files_sha256 in its metadata is no table of files"
        for name, wanted in hashes.items():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                return f"its metadata name {name}, which is outside of it"
            try:
                content = (self.path / name).read_bytes()
            except OSError as error:
                return f"{name} is missing or cannot be read ({error.strerror})"
            if hashlib.sha256(content).hexdigest() != wanted:
                return f"{name} was changed since it was made, or is damaged; get it again"
        return ""

    def check_hash(self) -> None:
        """Check the weights' SHA-256, which needs no PyTorch.

        Raises
        ------
        InputError
            Naming the bundle, when the hash is not the one in the metadata.
        """
        self._read_bytes()

    def load_network(self, in_channels: int | None = None, out_channels: int | None = None) -> torch.nn.Module:
        """The trained network on the CPU, in evaluation mode.

        Parameters
        ----------
        in_channels, out_channels
            What the caller will feed and expect; None: whatever the bundle says.

        Raises
        ------
        InputError
            The hash is wrong, the file is no plain weights file, or the weights do not fit the network.
        """
        state = self._read_weights()
        try:
            network = build_network(self.metadata["network"])
            there = network_channels(self.metadata["network"])
        except InputError as error:
            raise refusal(self, str(error)) from error
        for name, wanted, given in zip(("input", "output"), (in_channels, out_channels), there, strict=True):
            if wanted is not None and wanted != given:
                raise refusal(self, f"its network has {given} {name} channel(s) where {wanted} are needed")
        try:
            network.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise refusal(self, f"its weights do not fit its network: {one_line(error)}") from error
        return network.eval()

    def _read_bytes(self) -> bytes:
        try:
            content = (self.path / WEIGHTS).read_bytes()
        except OSError as error:
            raise refusal(self, f"{WEIGHTS} cannot be read: {error.strerror}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise refusal(
                self,
                f"the SHA-256 of {WEIGHTS} is {found[:12]}… and not {self.sha256[:12]}…; "
                "it is damaged or was exchanged, get the bundle again",
            )
        return content

    def _read_weights(self) -> dict[str, torch.Tensor]:
        import torch

        content = self._read_bytes()
        try:
            # The very bytes that were checked, so that nobody can exchange the file in between.
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        # Whatever torch stumbles over in a foreign file is the file's fault.
        except Exception as error:
            raise refusal(self, f"{WEIGHTS} is not a file of plain weights ({type(error).__name__})") from error
        if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise refusal(self, f"{WEIGHTS} holds something else than the weights of one network")
        return state


def refusal(bundle: Bundle, reason: str, kind: str = "bundle") -> InputError:
    """The error that names a bundle and why it is refused.

    Parameters
    ----------
    reason
        A sentence, or a part of one.
    kind
        What the user calls the bundle.
    """
    return InputError(f"The {kind} {bundle.name} ({bundle.path}) is refused: {as_reason(reason)}.")


def user_folder() -> Path:
    """The folder of the user's own bundles; it need not be there yet."""
    user = os.environ.get(USER_FOLDER_VARIABLE)
    return Path(user) if user else Path.home() / ".SparseToPrecise" / "models"


def search_roots() -> list[Path]:
    """Folders that hold bundles, the user's own before the ones that came with the software."""
    return [user_folder(), *(folder / "Models" for folder in _resource_folders())]


def _resource_folders() -> list[Path]:
    library = Path(__file__).resolve().parents[1]
    # Beside the library in Slicer and in a checkout, within it in an installed wheel.
    return [library.parent / "Resources", library / "Resources"]


def resource(name: str) -> Path:
    """A file of Resources that came with the software, such as "Cards/editing.md".

    Raises
    ------
    InputError
        It is not there.
    """
    for folder in _resource_folders():
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"The software's file {name} is missing; install the software again.")


def bundle_folders() -> list[Path]:
    """Every folder below the search roots that says it is a bundle; the first of each name."""
    found: dict[str, Path] = {}
    for root in search_roots():
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if (folder / METADATA).is_file() and not folder.name.startswith("."):
                    found.setdefault(folder.name, folder)
    return list(found.values())


def find_bundles(family: Families | None = None) -> list[Bundle]:
    """The bundles in order below the search roots; those with a broken layout or metadata are left out."""
    bundles = []
    for folder in bundle_folders():
        try:
            bundle = _opened(folder)
        except InputError:
            continue
        if family is None or bundle.family in _names(family):
            bundles.append(bundle)
    return bundles


def _names(family: Families) -> tuple[str, ...]:
    return (family,) if isinstance(family, str) else tuple(family)


def open_bundle(path_or_name: str | os.PathLike[str], family: Families | None = None) -> Bundle:
    """Open a bundle by its folder, or by its name below the search roots.

    Parameters
    ----------
    family
        Which it must be of, or one of several; None: any.

    Raises
    ------
    InputError
        There is none, it lacks a file, its metadata are not in order, or it is of another family.
    """
    bundle = _opened(_located(path_or_name, family))
    if family is not None and bundle.family not in _names(family):
        wanted = " or ".join(_names(family))
        raise InputError(f"The bundle {bundle.name} ({bundle.path}) is of the family {bundle.family}, not {wanted}.")
    return bundle


def _located(path_or_name: str | os.PathLike[str], family: Families | None) -> Path:
    path = Path(path_or_name)
    # What happens to have a bundle's name in the current folder must not hide that bundle.
    bare = path.name == str(path_or_name)
    if path.is_dir() and (not bare or (path / METADATA).is_file()):
        return path
    if path.exists() and not bare:
        raise InputError(f"{path} is a file; name the bundle's folder (the one that holds {METADATA}).")
    folders = bundle_folders()
    for folder in folders:
        if folder.name == str(path_or_name):
            return folder
    bundles = find_bundles()
    for bundle in bundles:
        if bundle.name == str(path_or_name):
            return bundle.path
    if family is not None:
        folders = [bundle.path for bundle in bundles if bundle.family in _names(family)]
    if Path(path_or_name).is_dir():
        raise InputError(f"{path_or_name} is a folder, but no bundle of a model (it has no configs and models).")
    there = ", ".join(folder.name for folder in folders) or "none"
    those = "those" if family is None else f"those of the family {' or '.join(_names(family))}"
    raise InputError(
        f"There is no bundle {path_or_name}: no such folder, and no such name among {those} here ({there})."
    )


def _opened(folder: Path) -> Bundle:
    missing = [name for name in LAYOUT if not (folder / name).is_file()]
    if missing:
        raise InputError(f"The bundle {folder} is refused: it lacks {', '.join(missing)}.")
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The bundle {folder} is refused: {METADATA} is no JSON ({one_line(error)}).") from error
    wrong = wrong_metadata(metadata)
    if wrong:
        raise InputError(f"The bundle {folder} is refused: {METADATA} {wrong}.")
    return Bundle(folder, metadata)


def wrong_metadata(metadata: Any) -> str:
    """Fault of a bundle's metadata; empty when there is none."""
    if not isinstance(metadata, dict):
        return "is no JSON object"
    if not isinstance(metadata.get("family"), str):
        return "names no model family"
    if not isinstance(metadata.get("network"), dict):
        return 'has no "network" with a name and arguments'
    if not re.fullmatch(r"[0-9a-f]{64}", str(metadata.get("weights_sha256"))):
        return 'has no "weights_sha256" of 64 hexadecimal digits'
    if not isinstance(metadata.get("parameters", {}), dict):
        return 'has "parameters" that are no names with values'
    return ""
