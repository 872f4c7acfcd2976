"""Common part of all kinds of files: names, Slicer's storage nodes, and failures in one sentence."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import slicer

from ..core.errors import InputError
from ..core.files import temporary_prefix, write_atomically
from ..core.image_headers import told_by_name
from ..core.quiet import quiet
from .headless import scene

_LONGEST_REASON = 160


def read_node(path: Path, storage: slicer.vtkMRMLStorageNode, node_class: str, name: str) -> slicer.vtkMRMLStorableNode:
    """Read a file through a storage node into a new node, of which nothing stays in the scene on failure."""
    node = scene().AddNewNodeByClass(node_class, name)
    with told_by_name(path) as file, quiet() as printed:
        storage.SetFileName(str(file))
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
        with tempfile.TemporaryDirectory(prefix=temporary_prefix(), dir=temporary.parent) as folder:
            written = Path(folder) / path.name.lower()  # writers know no extension in capitals
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


def _reason(messages: slicer.vtkMRMLMessageCollection, printed: str, hide: Path | None = None) -> str:
    """Message of Slicer about the failure, as " (...)" on one line; "" when it says nothing."""
    texts = [messages.GetNthMessageText(index) for index in range(messages.GetNumberOfMessages())] + [printed]
    text = next((text for text in texts if text.strip()), "")
    text = text.rpartition("Description:")[2] if "Description:" in text else text
    text = re.sub(r"\x1b\[[0-9;]*m|\[vtk.*?\]", "", text)
    if hide is not None:
        text = text.replace(str(hide), hide.name)
    text = " ".join(text.split()).rstrip(". ")
    return f" ({text[:_LONGEST_REASON]})" if text else ""
