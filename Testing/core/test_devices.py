"""Device choice, with a stand-in for torch where the answer depends on hardware."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from SparseToPreciseLib.core.devices import (
    Device,
    choose_device,
    fast_bfloat16,
    mixed_precision,
    present_devices,
    return_free_memory,
    run_with_fallback,
)
from SparseToPreciseLib.core.errors import InputError

GIB = 2**30


class OutOfMemoryError(RuntimeError):
    """Stands for torch.OutOfMemoryError."""


def fake_torch(free: list[int], mps: int | None = None) -> SimpleNamespace:
    """A torch with one CUDA GPU per entry of `free` (bytes) and perhaps MPS."""
    return SimpleNamespace(
        OutOfMemoryError=OutOfMemoryError,
        device=lambda name: name,
        cuda=SimpleNamespace(
            is_available=lambda: bool(free),
            device_count=lambda: len(free),
            mem_get_info=lambda name: (free[int(name.partition(":")[2])], 80 * GIB),
            memory_reserved=lambda name: 0,
            memory_allocated=lambda name: 0,
            empty_cache=lambda: None,
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps is not None)),
        mps=SimpleNamespace(recommended_max_memory=lambda: mps, driver_allocated_memory=lambda: 0),
    )


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    return lambda *free, mps=None: monkeypatch.setitem(sys.modules, "torch", fake_torch(list(free), mps))


@pytest.mark.parametrize("request_", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda:-1"])
def test_unknown_devices_are_refused_by_name(request_: str) -> None:
    with pytest.raises(InputError, match="There is no device"):
        choose_device(request_)


def test_the_cpu_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    assert choose_device("cpu") == Device("cpu")
    assert choose_device("auto") == Device("cpu")
    with pytest.raises(InputError, match="PyTorch, which is not installed"):
        choose_device("cuda")


def test_auto_takes_the_first_gpu_with_room(gpus) -> None:
    gpus(1 * GIB, 8 * GIB)
    assert choose_device("auto", 2 * GIB) == Device("cuda:1")
    assert choose_device("auto") == Device("cuda:0")
    gpus(mps=8 * GIB)
    assert choose_device("auto", 2 * GIB) == Device("mps")
    gpus()
    assert choose_device("auto", 2 * GIB) == Device("cpu")


def test_absent_gpus_are_refused(gpus) -> None:
    gpus()
    for request in ("cuda", "cuda:0"):
        with pytest.raises(InputError, match=f"The device {request} is not available"):
            choose_device(request)
    with pytest.raises(InputError, match="The device mps is not available"):
        choose_device("mps")
    gpus(GIB)
    with pytest.raises(InputError, match="There is no device cuda:1; this computer has cuda:0 to cuda:0"):
        choose_device("cuda:1")


def test_a_full_gpu_falls_back_to_the_cpu_and_says_so(gpus) -> None:
    gpus(GIB // 2)
    device = choose_device("cuda", 3 * GIB)
    assert device.name == "cpu"
    assert device.note == "cuda:0 has 0.5 GiB free where 3.0 GiB are needed, so the work is done on the CPU."


@pytest.mark.parametrize("error", [OutOfMemoryError("x"), RuntimeError("MPS backend out of memory (…)")])
def test_running_out_of_gpu_memory_repeats_on_the_cpu(gpus, error: RuntimeError) -> None:
    gpus(GIB)
    used: list[str] = []

    def work(device: str) -> str:
        used.append(device)
        if device != "cpu":
            raise error
        return "done"

    assert run_with_fallback(work, Device("cuda:0")) == (
        "done",
        Device("cpu", "The memory of cuda:0 ran out, so the work was done on the CPU."),
    )
    assert used == ["cuda:0", "cpu"]


def test_other_errors_and_the_cpus_own_are_not_hidden(gpus) -> None:
    gpus(GIB)
    for name, error in (("cuda:0", RuntimeError("a bug")), ("cpu", OutOfMemoryError("x"))):

        def work(device: str, error: RuntimeError = error) -> None:
            raise error

        with pytest.raises(RuntimeError) as caught:
            run_with_fallback(work, Device(name))
        assert caught.value is error


def test_success_keeps_the_device() -> None:
    result, device = run_with_fallback(lambda device: device.type, Device("cpu"))
    assert (result, device) == ("cpu", Device("cpu"))


def test_every_device_is_listed_with_its_memory(gpus) -> None:
    gpus(3 * GIB, 80 * GIB, mps=5 * GIB)
    torch = sys.modules["torch"]
    torch.get_num_threads = lambda: 4
    torch.cuda.get_device_name = lambda name: f"GPU {name[-1]}"
    torch.cuda.get_device_properties = lambda name: SimpleNamespace(total_memory=80 * GIB)
    assert {device.name: device.description for device in present_devices()} == {
        "cpu": "cpu: 4 threads",
        "cuda:0": "cuda:0: GPU 0, 3.0 of 80.0 GiB free",
        "cuda:1": "cuda:1: GPU 1, 80.0 of 80.0 GiB free",
        "mps": "mps: Apple, 5.0 of 5.0 GiB free",
    }


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what was freed below what is in use")
def test_freed_memory_is_given_back() -> None:
    arrays = [np.ones(8192) for _ in range(4000)]  # 64 KB each, in the heap
    kept = arrays[::400]
    del arrays
    gc.collect()
    before = _resident_bytes()
    return_free_memory()
    assert before - _resident_bytes() > 150e6
    assert all((one == 1).all() for one in kept)


def test_another_c_library_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    return_free_memory()


@pytest.mark.parametrize(
    ("device", "capability", "fast"),
    [
        ("cpu", "AVX2", False),
        ("cpu", "DEFAULT", False),
        ("cpu", "AVX512", True),
        ("cuda", "AVX2", True),
        ("mps", "", False),
    ],
)
def test_bfloat16_is_for_devices_that_are_fast_in_it(monkeypatch, device: str, capability: str, fast: bool):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert fast_bfloat16(device) == fast
    if device == "cpu":
        with mixed_precision(device):
            assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == (torch.bfloat16 if fast else torch.float32)
