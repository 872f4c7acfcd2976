"""`models`, bundles given to `edit`, `demo`, and the start of the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli_files import RADIUS

torch = pytest.importorskip("torch")

from SparseToPreciseLib.core.bundles import METADATA, WEIGHTS  # noqa: E402
from SparseToPreciseLib.core.networks import build_network  # noqa: E402
from SparseToPreciseLib.core.training.writing import write_bundle  # noqa: E402
from SparseToPreciseLib.editing.editors import WARPS  # noqa: E402
from SparseToPreciseLib.editing.network import RESIDUAL_INPUTS, NetworkForm, form_parameters, start_at_zero  # noqa: E402
from SparseToPreciseLib.families import FAMILIES  # noqa: E402

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"
ARGUMENTS = {"spatial_dims": 3, "out_channels": 1, "channels": [2, 4], "strides": [2]}


@pytest.fixture
def models(folder: Path, monkeypatch) -> Path:
    """The user's folder of models, empty, inside the folder that refusals must leave as it is."""
    path = folder / "models"
    path.mkdir()
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(path))
    return path


def make_bundle(path: Path, channels: int = len(RESIDUAL_INPUTS), **metadata) -> Path:
    """A residual network that adds nothing to the image-aware warp."""
    torch.manual_seed(0)
    description = {"name": "UNet", "arguments": ARGUMENTS | {"in_channels": channels}}
    network = build_network(description)
    start_at_zero(network, channels)
    described = {
        "name": path.name,
        "family": "editing",
        "version": "0.0.1",
        "data_source": "nothing",
        "network": description,
        "parameters": form_parameters(NetworkForm()),
    }
    card = "# A model that adds nothing\n"
    return write_bundle(path, described | metadata, network.state_dict(), inference={}, training={}, card=card).path


def edit_arguments(folder: Path, out: str, *more: object) -> tuple:
    inputs = (folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv")
    return ("edit", *inputs, "--segment", "Ball", "--influence-radius", RADIUS, "-o", folder / out, *more)


def test_a_bundle_edits_and_the_report_has_its_hash(cli, folder: Path, models: Path) -> None:
    bundle = make_bundle(models / "mine")
    for number, model in enumerate(("mine", bundle)):
        report = folder / f"r{number}.json"
        cli.succeeds(*edit_arguments(folder, f"o{number}.nrrd", "--model", model, "--report", report))
        editor = json.loads(report.read_text())["editor"]
        assert editor["name"] == "mine"
        assert editor["weights_sha256"] == json.loads((bundle / METADATA).read_text())["weights_sha256"]
    cli.succeeds(*edit_arguments(folder, "warp.nrrd", "--model", "image-aware-warp"))
    assert (folder / "o0.nrrd").read_bytes() == (folder / "warp.nrrd").read_bytes()


class TestBadBundles:
    @pytest.fixture
    def refused(self, cli, folder: Path):
        """The sentence of `edit`; `models verify` must refuse, too, unless the bundle is only unfit for editing."""

        def sentence(model: object, verify: bool = True) -> str:
            if verify:
                assert cli.refuses("models", "verify", model)
            return cli.refuses(*edit_arguments(folder, "o.nrrd", "--model", model))

        return sentence

    def test_missing(self, refused, models: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "There is no bundle nobodys" in refused("nobodys")
        assert "There is no bundle" in refused(models / "nobodys")
        (models / "empty").mkdir()
        assert "lacks configs/metadata.json" in refused(models / "empty")
        (folder / "plain").mkdir()
        monkeypatch.chdir(folder)
        assert "plain is a folder, but no bundle of a model" in refused("plain")

    def test_cut_short(self, refused, models: Path) -> None:
        weights = make_bundle(models / "mine") / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:1000])
        assert "mine" in refused("mine") and "SHA-256" in refused("mine")

    def test_wrong_hash(self, refused, models: Path) -> None:
        path = make_bundle(models / "mine") / METADATA
        path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_sha256": "0" * 64}))
        assert "not 000000000000" in refused("mine")

    def test_a_pickle_that_runs_code(self, refused, models: Path, folder: Path, tmp_path: Path) -> None:
        import hashlib

        class Runs:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        bundle = make_bundle(models / "mine")
        torch.save({"weight": Runs()}, bundle / WEIGHTS)
        metadata = json.loads((bundle / METADATA).read_text())
        metadata["weights_sha256"] = hashlib.sha256((bundle / WEIGHTS).read_bytes()).hexdigest()
        (bundle / METADATA).write_text(json.dumps(metadata))
        assert "is not a file of plain weights" in refused("mine")
        assert not (tmp_path / "ran").exists()

    def test_wrong_number_of_channels(self, refused, models: Path) -> None:
        make_bundle(models / "mine", channels=2)
        assert "has 2 input channel(s) where 6 are needed" in refused("mine", verify=False)

    def test_another_family(self, refused, models: Path) -> None:
        make_bundle(models / "mine", family="synthesis")
        assert "is of the family synthesis, not editing" in refused("mine", verify=False)


class TestModels:
    def test_list_shows_good_ones_and_says_what_is_wrong_with_others(self, cli, models: Path) -> None:
        make_bundle(models / "mine")
        (make_bundle(models / "broken") / WEIGHTS).unlink()
        out = cli.succeeds("models", "list").out
        assert "mine" in out and "0.0.1" in out and "broken" in out and "refused" in out

    def test_list_has_the_editors_without_a_model_and_marks_the_default(
        self, cli, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        make_bundle(models / "mine")
        for default in ("mine", *WARPS):
            monkeypatch.setattr("SparseToPreciseLib.editing.model.DEFAULT_EDITOR", default)
            monkeypatch.setitem(FAMILIES, "editing", replace(FAMILIES["editing"], default_model=default))
            out = cli.succeeds("models", "list").out
            rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
            names = {row[0] for row in rows if row}
            assert {f"{name} (default)" if name == default else name for name in ("mine", *WARPS)} <= names
            marked = {row[0] for row in rows if row and row[0].endswith("(default)")}
            expected = {f"{row.default_model} (default)" for row in FAMILIES.values() if row.default_model}
            assert marked == expected
            assert out.count("(default)") == len(marked)
            assert all(row[1].endswith(".") for row in rows if row and row[0].removesuffix(" (default)") in WARPS)

    def test_show_prints_the_card_and_verify_says_it_is_in_order(self, cli, models: Path) -> None:
        make_bundle(models / "mine")
        assert "A model that adds nothing" in cli.succeeds("models", "show", "mine").out
        out = cli.succeeds("models", "verify", models / "mine").out
        assert out.startswith("mine is in order") and out.count("\n") == 1


def test_the_demonstration_improves_the_phantom(cli, folder: Path) -> None:
    out = folder / "a" / "demo"
    answer = cli.succeeds("demo", "--output", out)
    assert {path.name for path in out.iterdir()} == {
        "image.nrrd",
        "before.seg.nrrd",
        "stroke.mrk.json",
        "corrected.seg.nrrd",
        "picture.png",
        "report.json",
    }
    rows = [line.replace("│", " ").split() for line in answer.out.splitlines()]
    numbers = {row[0]: [float(value) for value in row[1:]] for row in rows if row and row[0] in ("before", "after")}
    assert numbers["after"][0] > numbers["before"][0]
    assert numbers["after"][1] < numbers["before"][1]
    assert json.loads((out / "report.json").read_text())["total"]["changed_outside"] == 0
    cli.succeeds("demo", "--output", out)  # a second time over the first
    assert "Could not make the folder" in cli.refuses("demo", "--output", folder / "stroke.fcsv" / "demo")


class TestStart:
    def test_help_version_and_no_command(self, cli) -> None:
        for arguments in ([], ["--help"], ["edit", "--help"], ["models", "--help"]):
            assert "Usage: sparse-to-precise" in cli.succeeds(*arguments).out
        assert cli.succeeds("--version").out.startswith("sparse-to-precise ")

    def test_nothing_heavy_is_imported(self) -> None:
        code = (
            "import sys, SparseToPreciseLib.cli.main\n"
            "heavy = {'torch', 'monai', 'vtk', 'slicer', 'scipy', 'SimpleITK', 'matplotlib', 'numpy'}\n"
            "print(sorted(heavy & set(sys.modules)))"
        )
        environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "[]"

    def test_an_edit_with_a_warp_needs_no_torch(self, folder: Path) -> None:
        code = (
            "import sys; sys.modules['torch'] = sys.modules['monai'] = None\n"
            "from SparseToPreciseLib.cli.main import run\n"
            "sys.exit(run(sys.argv[1:]))"
        )
        arguments = edit_arguments(folder, "o.nrrd", "--model", "image-aware-warp", "--picture", folder / "p.png")
        environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert (folder / "o.nrrd").exists()

    @pytest.mark.parametrize(("package", "title"), [("torch", "PyTorch"), ("monai", "MONAI")])
    def test_models_without_a_needed_package_are_refused_in_one_sentence(
        self, folder: Path, models: Path, package: str, title: str
    ) -> None:
        make_bundle(models / "mine")
        code = (
            f"import contextlib, io, json, sys; sys.modules['{package}'] = None\n"
            "from SparseToPreciseLib.cli.main import run\n"
            "answers = {}\n"
            "for name, arguments in json.loads(sys.argv[1]).items():\n"
            "    out, error = io.StringIO(), io.StringIO()\n"
            "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):\n"
            "        answers[name] = [run(arguments), error.getvalue(), out.getvalue()]\n"
            "print(json.dumps(answers))"
        )
        commands = {
            "edit": edit_arguments(folder, "o.nrrd", "--model", "mine"),
            "train": ("train", "editing", "--phantoms", 1, "-o", folder / "new", "--progress", "json"),
            "verify": ("models", "verify", "mine"),
        }
        given = json.dumps({name: [str(one) for one in arguments] for name, arguments in commands.items()})
        environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
        ran = subprocess.run([sys.executable, "-c", code, given], env=environment, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
        answers = json.loads(ran.stdout)
        sentence = (
            f"{title} is not installed, which models need; install it (pip install {package}); "
            "only edits with --model image-aware-warp do without."
        )
        assert {name: answer[:2] for name, answer in answers.items()} == dict.fromkeys(commands, [2, sentence + "\n"])
        assert json.loads(answers["train"][2].splitlines()[-1]) == {"error": sentence}
        assert not (folder / "o.nrrd").exists() and not (folder / "new").exists()
