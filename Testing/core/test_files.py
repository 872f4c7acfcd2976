"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.files import called_before_replacing, ensure_writable, write_atomically, write_together


def _raising(error: BaseException):
    def write(path: Path) -> None:
        path.write_text("half")
        raise error

    return write


def test_the_temporary_file_keeps_the_extensions_and_the_folder(tmp_path: Path) -> None:
    used: list[Path] = []

    def write(path: Path) -> None:
        used.append(path)
        path.write_text("new")

    target = tmp_path / "out.seg.nrrd"
    target.write_text("old")
    assert write_atomically(target, write) == target
    assert target.read_text() == "new"
    assert used[0].parent == tmp_path and used[0].name.endswith("out.seg.nrrd") and used[0] != target
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), InputError, "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), InputError, "read-only"),
        (OSError(errno.EIO, "Input/output error"), InputError, "input/output error"),
        (InputError("a reason."), InputError, "a reason"),
        (KeyboardInterrupt("pressed"), KeyboardInterrupt, "pressed"),
        (ZeroDivisionError("division"), ZeroDivisionError, "division"),
    ],
)
def test_the_old_file_survives_every_failure(tmp_path: Path, error, raised, words: str) -> None:
    target = tmp_path / "out.nii.gz"
    target.write_text("old")
    with pytest.raises(raised, match=words):
        write_atomically(target, _raising(error))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Could not write"):
        write_atomically(tmp_path / "out.nrrd", lambda path: None)
    assert not list(tmp_path.iterdir())


def test_files_that_belong_together_are_all_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [tmp_path / "first.nrrd", tmp_path / "second.json", tmp_path / "third.png"]
    for target in targets:
        target.write_text("old")
    outputs = [(target, lambda path: path.write_text("new")) for target in targets]
    real, flushed = os.fsync, []

    for fails in range(len(targets)):
        flushed.clear()

        def fsync(descriptor: int, fails: int = fails) -> None:
            flushed.append(descriptor)
            if len(flushed) == fails + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(InputError, match=f"Could not write .*{targets[fails].name}: the disk is full"):
            write_together(outputs)
        assert [target.read_text() for target in targets] == ["old"] * 3
        assert sorted(tmp_path.iterdir()) == sorted(targets)
    monkeypatch.undo()
    seen: list[list[str]] = []
    with called_before_replacing(lambda: seen.append([target.read_text() for target in targets])):
        write_together(outputs)
    assert seen == [["old"] * 3]
    assert [target.read_text() for target in targets] == ["new"] * 3
    assert sorted(tmp_path.iterdir()) == sorted(targets)


@pytest.mark.parametrize("function", [ensure_writable, lambda path: write_atomically(path, Path.touch)])
class TestPlaces:
    def test_missing_folder(self, tmp_path: Path, function) -> None:
        with pytest.raises(InputError, match="missing does not exist; create it"):
            function(tmp_path / "missing" / "out.nrrd")

    def test_a_file_as_folder(self, tmp_path: Path, function) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="file does not exist"):
            function(tmp_path / "file" / "out.nrrd")

    def test_a_folder_as_file(self, tmp_path: Path, function) -> None:
        with pytest.raises(InputError, match="is a folder; name a file"):
            function(tmp_path)

    @pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a file system that refuses new files")
    def test_a_read_only_place(self, tmp_path: Path, function) -> None:
        with pytest.raises(InputError, match="Could not write /proc/out.nrrd"):
            function(Path("/proc/out.nrrd"))


def test_ensure_writable_touches_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    ensure_writable(target)
    assert not list(tmp_path.iterdir())
    target.write_text("old")
    ensure_writable(target)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
class TestInPlace:
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
    def test_a_replaced_file_keeps_its_permissions(self, tmp_path: Path, mode: int) -> None:
        targets = [tmp_path / "one", tmp_path / "two"]
        for target in targets:
            target.write_text("old")
            target.chmod(mode)
        write_atomically(targets[0], lambda path: path.write_text("new"))
        write_together([(targets[1], lambda path: path.write_text("new"))])
        for target in targets:
            assert target.read_text() == "new" and target.stat().st_mode & 0o7777 == mode

    def test_what_a_link_leads_to_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "here").mkdir()
        target, link = tmp_path / "store" / "data", tmp_path / "here" / "out.seg.nrrd"
        target.write_text("old")
        link.symlink_to(target)
        seen: list[Path] = []

        def write(path: Path) -> None:
            seen.append(path)
            path.write_text("new")

        ensure_writable(link)
        write_atomically(link, write)
        assert seen[0].name.endswith(".seg.nrrd") and seen[0].parent == target.parent
        assert link.is_symlink() and target.read_text() == "new"
        write_together([(link, lambda path: path.write_text("newer"))])
        assert link.is_symlink() and target.read_text() == "newer"
        assert [path.name for path in (*target.parent.iterdir(), *link.parent.iterdir())] == ["data", "out.seg.nrrd"]

    def test_a_link_into_a_missing_folder(self, tmp_path: Path) -> None:
        link = tmp_path / "out"
        link.symlink_to(tmp_path / "gone" / "data")
        with pytest.raises(InputError, match="out is a link to .*gone.*, whose folder does not exist"):
            ensure_writable(link)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot be asked without danger")
def test_leftovers_of_a_killed_run_are_removed_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from SparseToPreciseLib.core.files import temporary_prefix, write_atomically\n"
        "folder = Path(sys.argv[1])\n"
        "(folder / f'{temporary_prefix()}folder').mkdir()\n"
        "(folder / f'{temporary_prefix()}folder' / 'file').touch()\n"
        "def write(path):\n    path.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(folder / 'out.nrrd', write)\n"
    )
    library = Path(__file__).resolve().parents[2] / "SparseToPrecise"
    result = subprocess.run([sys.executable, "-c", code, tmp_path], env={**os.environ, "PYTHONPATH": str(library)})
    assert result.returncode == -signal.SIGKILL
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2
    # What is another's: of a process that runs, of another computer, of the user.
    number, computer, _ = left[0][len(".tmp") :].split("-")
    others = [f".tmp{os.getpid()}-{computer}-x", f".tmp{number}-xyz-x", ".tmp-x", f".tmp{number}"]
    for name in others:
        (tmp_path / name).touch()
    ensure_writable(tmp_path / "other.nrrd")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
