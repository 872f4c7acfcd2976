"""Sample data that come with a module, offered in Slicer's module Sample Data."""

from __future__ import annotations

import json
from pathlib import Path

LISTING = "samples.json"
CATEGORY = "SparseToPrecise"
TITLE = "Sparse to Precise"


def register_samples(module_path: str) -> list[str]:
    """Offer the samples in Resources/SampleData beside a module's file, as its samples.json lists them.

    Returns
    -------
    list
        Their names.
    """
    import SampleData

    folder = Path(module_path).resolve().parent / "Resources" / "SampleData"
    samples = json.loads((folder / LISTING).read_text(encoding="utf-8"))
    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # newer than Slicer 5.10
        logic.registerCustomSampleDataCategory(category=CATEGORY, title=TITLE)
    for sample in samples:
        files = sample["files"]
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample["name"],
            thumbnailFileName=str(folder / sample["thumbnail"]),
            uris=[(folder / file["file"]).as_uri() for file in files],
            fileNames=[file["file"] for file in files],
            nodeNames=[file["node"] for file in files],
            loadFileTypes=[file["type"] for file in files],
            checksums=[f"SHA256:{file['sha256']}" for file in files],
        )
    return [sample["name"] for sample in samples]


def load_sample(name: str) -> list:
    """The nodes of a sample that was registered, loaded into the scene in the order of its files."""
    import SampleData

    logic = SampleData.SampleDataLogic()
    (source,) = [one for one in logic.sampleDataSourcesByCategory(CATEGORY) if one.sampleName == name]
    return logic.downloadFromSource(source)
