"""Train the networks that the benchmark compares, each for the same computing time on the same cases.

    python -m benchmarks.editing.train_rivals --minutes 3 [--store DIR --validation DIR] [--only editing,dice]

Each becomes a bundle in the cache folder; one that is there with the same settings is kept, so that a broken-off run
can be taken up again. Time is CPU time of one thread, so that a busy machine does not change the result.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.loop import LoopOptions
from SparseToPreciseLib.core.training.writing import write_bundle
from SparseToPreciseLib.editing.case_store import CaseStore, build_store
from SparseToPreciseLib.editing.cases import Simulation
from SparseToPreciseLib.editing.model import FAMILY
from SparseToPreciseLib.editing.network import PAPER_INPUTS, RESIDUAL_INPUTS, NetworkForm, form_parameters
from SparseToPreciseLib.editing.trainer import Trainer

from ..harness import CACHE
from .answers import NETWORKS
from .intercnn import InterCNNTrainer

DEFAULT_CACHE = CACHE / "benchmark-editing"
OBJECTIVES = {
    "cross-entropy": "cross-entropy",
    "dice": "dice",
    "intercnn": "cross-entropy",
    "editing": "editing",
    "residual-equal": "zone-cross-entropy",
}
PHANTOMS, VALIDATION_PHANTOMS = 400, 16
VALIDATIONS = 5
LEARNING_RATE = 0.002
"""The paper's 0.005 is for hundreds of epochs; clipped and at batches of 4 this is stable for all objectives."""


def network_description(inputs: int) -> dict:
    """The paper's size: 3D U-Net, filters 8-16-32-64, two 3 x 3 x 3 convolutions a level.

    MONAI's with strided convolutions in place of pooling and instance normalisation: three times as many steps in the
    same time as at full resolution.
    """
    return {
        "name": "UNetWithHead",
        "arguments": {
            "spatial_dims": 3,
            "in_channels": inputs,
            "out_channels": 1,
            "channels": [8, 16, 32, 64],
            "strides": [2, 2, 2],
            "num_res_units": 2,
        },
    }


def train(key: str, folder: Path, training: CaseStore, validation: CaseStore, minutes: float, seed: int) -> None:
    """Train one rival and write its bundle, unless it is there with the same settings."""
    residual = key == "residual-equal"
    form = NetworkForm(RESIDUAL_INPUTS if residual else PAPER_INPUTS, residual)
    settings = {"minutes": minutes, "cases": len(training), "seed": seed, "learning_rate": LEARNING_RATE}
    description = network_description(len(form.inputs))
    settings |= {"objective": OBJECTIVES[key], "simulation": _simulation(training)}
    settings |= {"network": description, "inputs": list(form.inputs), "validations": VALIDATIONS}
    if _there(folder, settings):
        print(f"{key}: already there", flush=True)
        return
    torch.manual_seed(seed)
    network = build_network(description)
    trainer = (InterCNNTrainer if key == "intercnn" else Trainer)(
        network,
        form,
        OBJECTIVES[key],
        training,
        validation,
        LoopOptions(
            minutes=minutes,
            learning_rate=LEARNING_RATE,
            validations=VALIDATIONS,
            seed=seed,
            progress=Progress(lambda fraction, message: print(f"{key} {fraction:4.0%} {message}", flush=True)),
        ),
    )
    log = trainer.run()
    metadata = {
        "name": f"benchmark-{key}",
        "version": "1",
        "family": FAMILY,
        "network": description,
        "parameters": form_parameters(form),
        "benchmark": settings,
        "steps": log.rows[-1]["steps"],
    }
    card = f"# {NETWORKS[key]}\n\nA rival of the editing benchmark, trained by benchmarks.editing.train_rivals.\n"
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(
        folder,
        metadata,
        network.state_dict(),
        inference={},
        training={},
        card=card,
        more={"docs/log.csv": log.as_csv()},
    )


def _simulation(store: CaseStore) -> dict:
    path = store.folder / "simulation.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _there(folder: Path, settings: dict) -> bool:
    try:
        return open_bundle(folder).metadata.get("benchmark") == settings
    except InputError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="computing time of each network (one thread)")
    parser.add_argument("--only", default=",".join(NETWORKS), help=f"some of {', '.join(NETWORKS)}")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where weights and cases are kept")
    parser.add_argument("--store", type=Path, help="cases that build_store made; by default in the cache folder")
    parser.add_argument("--validation", type=Path, help="cases to choose the best weights by")
    parser.add_argument("--phantoms", type=int, default=PHANTOMS, help="phantoms of the default store")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chosen = given.only.split(",")
    unknown = set(chosen) - set(NETWORKS)
    if unknown:
        parser.error(f"there is no network {', '.join(sorted(unknown))}; choose from {', '.join(NETWORKS)}")
    torch.set_num_threads(1)
    if given.store:
        training = CaseStore(given.store)
    else:
        training = build_store(given.cache / "training", given.phantoms, Simulation(), progress=_printed())
    if given.validation:
        validation = CaseStore(given.validation)
    else:
        simulation = Simulation(seed=2)
        validation = build_store(given.cache / "validation", VALIDATION_PHANTOMS, simulation, progress=_printed())
    for key in chosen:
        train(key, given.cache / "rivals" / key, training, validation, given.minutes, given.seed)


def _printed() -> Progress:
    return Progress(lambda fraction, message: print(f"{fraction:4.0%} {message}", flush=True))


if __name__ == "__main__":
    main()
