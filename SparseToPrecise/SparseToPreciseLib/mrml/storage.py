"""What all kinds of files have in common: names, Slicer's storage nodes, and what went wrong in one sentence."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from ..core.errors import InputError
from ..core.files import write_atomically
from .headless import logic, quiet, scene

_LONGEST_REASON = 160


def read_node(path: Path, storage: slicer.vtkMRMLStorageNode, node_class: str, name: str) -> slicer.vtkMRMLStorableNode:
    """Read a file through a storage node into a new node, of which nothing stays in the scene on failure."""
    node = scene().AddNewNodeByClass(node_class, name)
    storage.SetFileName(str(path))
    with quiet() as printed:
        success = storage.ReadData(node)
    if not success:
        scene().RemoveNode(node)
        reason = _reason(storage.GetUserMessages(), printed.text)
        raise InputError(f"{path} could not be read{reason}; export it again.")
    return node


def write_node(
    path: Path, storage_class: type, node: slicer.vtkMRMLStorableNode, check: Callable[[Path], object]
) -> Path:
    """Write a node in a folder of its own beside the target, check what is there, and only then move it."""

    def write(temporary: Path) -> None:
        # Slicer's volume writer makes a folder beside its file, and leaves it there when it fails.
        with tempfile.TemporaryDirectory(prefix=".tmp", dir=path.parent) as folder:
            written = Path(folder) / path.name
            storage = storage_class()
            storage.SetFileName(str(written))
            with quiet() as printed:
                success = storage.WriteData(node)
            try:
                # Some writers report success on a full disk.
                check(written)
            except InputError as error:
                success, printed.text = 0, printed.text or str(error)
            if not success:
                raise InputError(
                    f"{path} could not be written completely; check that the disk is not full"
                    f"{_reason(storage.GetUserMessages(), printed.text, written)}."
                )
            os.replace(written, temporary)

    return write_atomically(path, write)


def load_markup(path: Path, name: str, kind: str) -> slicer.vtkMRMLMarkupsNode:
    """Read a .mrk.json or .fcsv file with one markup, a stroke or another kind, into a new node.

    Raises
    ------
    InputError
        Slicer refuses the file.
    """
    messages = slicer.vtkMRMLMessageCollection()
    with quiet() as printed:
        node_id = logic("Markups").LoadMarkups(str(path), name, messages)
    if not node_id:
        reason = _reason(messages, printed.text)
        raise InputError(f"{path} could not be read as a markup{reason}; save the {kind} again.")
    return scene().GetNodeByID(node_id)


def markup_in_json(path: Path, kind: str) -> dict[str, Any]:
    """The one markup that a .mrk.json file holds, as it stands there.

    Raises
    ------
    InputError
        No such file, or no markup or several in it.
    """
    try:
        markups = json.loads(path.read_text(encoding="utf-8"))["markups"]
        if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
            raise TypeError("no list of objects")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a valid markups file (.mrk.json); save the {kind} again.") from error
    if len(markups) != 1:
        raise InputError(f"{path} holds {len(markups)} markups; save one {kind} per file.")
    return markups[0]


def _reason(messages: slicer.vtkMRMLMessageCollection, printed: str, hide: Path | None = None) -> str:
    """What Slicer says about the failure, as " (...)" on one line; "" when it says nothing."""
    texts = [messages.GetNthMessageText(index) for index in range(messages.GetNumberOfMessages())] + [printed]
    text = next((text for text in texts if text.strip()), "")
    text = text.rpartition("Description:")[2] if "Description:" in text else text
    text = re.sub(r"\x1b\[[0-9;]*m|\[vtk.*?\]", "", text)
    if hide is not None:
        text = text.replace(str(hide), hide.name)
    text = " ".join(text.split()).rstrip(". ")
    return f" ({text[:_LONGEST_REASON]})" if text else ""
