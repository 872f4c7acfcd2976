"""Where the computing happens, and what happens when it does not fit there."""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from .errors import InputError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_REQUEST = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class Device:
    """A chosen device.

    Attributes
    ----------
    name
        As torch names it: cpu, cuda:0, mps.
    note
        A sentence for the user when it is not what they asked for; else empty.
    """

    name: str
    note: str = ""


@dataclass(frozen=True)
class PresentDevice:
    """A device that is there.

    Attributes
    ----------
    name
        As torch names it: cpu, cuda:0, mps.
    description
        For the user: the name, the hardware's name, the free and the whole memory in GiB where they are known.
    """

    name: str
    description: str


def present_devices() -> list[PresentDevice]:
    """Every device that this PyTorch can use, the CPU first. Imports torch."""
    import torch

    found = [PresentDevice("cpu", f"cpu: {torch.get_num_threads()} threads")]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        name = f"cuda:{number}"
        whole = torch.cuda.get_device_properties(name).total_memory
        found.append(PresentDevice(name, _described(name, torch.cuda.get_device_name(name), whole, torch)))
    if torch.backends.mps.is_available():
        found.append(PresentDevice("mps", _described("mps", "Apple", torch.mps.recommended_max_memory(), torch)))
    return found


def choose_device(request: str = "auto", needed_bytes: int = 0) -> Device:
    """Find the device for a request.

    Parameters
    ----------
    request
        auto (the first GPU with enough free memory, else the CPU), cpu, cuda, cuda:N or mps.
    needed_bytes
        Memory that the work will take. A GPU with less free memory is passed over, and the note says so.

    Raises
    ------
    InputError
        The request is not one of these, or names a device that this computer or this PyTorch has not.

    Notes
    -----
    torch is imported only when a GPU may be used.
    """
    if not _REQUEST.fullmatch(request):
        raise InputError(f"There is no device {request!r}; choose auto, cpu, cuda, cuda:N or mps.")
    if request == "cpu":
        return Device("cpu")
    try:
        import torch
    except ImportError:
        if request == "auto":
            return Device("cpu")
        raise InputError(
            f"The device {request} needs PyTorch, which is not installed; use cpu or install it."
        ) from None
    if request != "auto":
        return _with_room(_present(request, torch), needed_bytes, torch)
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device = _with_room(f"cuda:{number}", needed_bytes, torch)
        if device.name != "cpu":
            return device
    if torch.backends.mps.is_available():
        return _with_room("mps", needed_bytes, torch)
    return Device("cpu")


def run_with_fallback(function: Callable[[torch.device], T], device: Device) -> tuple[T, Device]:
    """Run a function on a device; when a GPU's memory runs out, once more on the CPU.

    Parameters
    ----------
    function
        Called with the torch device; must be safe to call again after it ran out of memory.
    device
        Where to run first.

    Returns
    -------
    result, device
        What the function gave, and where it ran; the note tells of a fallback.
    """
    import torch

    try:
        return function(torch.device(device.name)), device
    except RuntimeError as error:
        if device.name == "cpu" or not ran_out_of_memory(error):
            raise
    # Outside the handler: the traceback would keep the failed attempt's tensors alive.
    if device.name.startswith("cuda"):
        torch.cuda.empty_cache()
    fallback = Device("cpu", f"The memory of {device.name} ran out, so the work was done on the CPU.")
    return function(torch.device("cpu")), fallback


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's or the computer's memory did not suffice."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # MPS, cuDNN and the CPU's allocator raise a plain RuntimeError that only its text tells apart.
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)


def fast_bfloat16(device: str) -> bool:
    """Whether convolutions in bfloat16 take no longer than in float32 on a kind of device (cpu, cuda, mps).

    On a CPU without AVX-512, as many desktop computers have it, PyTorch computes them in a way so slow that a network
    seems to hang: a U-Net that took 0.7 s in float32 had not ended after a minute.
    """
    import torch

    if device == "cpu":
        return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return device != "mps"


def mixed_precision(device: str) -> contextlib.AbstractContextManager:
    """In which networks compute in bfloat16 where that is fast, and in float32 elsewhere."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=fast_bfloat16(device))


def return_free_memory() -> None:
    """Give the computer back what this process has freed; does nothing where the C library is not glibc.

    Arrays of changing sizes leave holes in its heap: a training of half an hour had 1.4 GB of them.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # macOS, Windows, another C library
        return


def _present(request: str, torch) -> str:
    """The torch name of an explicitly requested GPU, or an `InputError`."""
    if request == "mps":
        if not torch.backends.mps.is_available():
            raise InputError("The device mps is not available on this computer; use auto or cpu.")
        return "mps"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(request.partition(":")[2] or 0)
    if count == 0:
        raise InputError(f"The device {request} is not available: no CUDA GPU is usable here; use auto or cpu.")
    if number >= count:
        raise InputError(f"There is no device {request}; this computer has cuda:0 to cuda:{count - 1}.")
    return f"cuda:{number}"


def _with_room(name: str, needed_bytes: int, torch) -> Device:
    free = _free_bytes(name, torch)
    if free >= needed_bytes:
        return Device(name)
    needed, there = needed_bytes / 2**30, free / 2**30
    note = f"{name} has {there:.1f} GiB free where {needed:.1f} GiB are needed, so the work is done on the CPU."
    return Device("cpu", note)


def _described(name: str, hardware: str, whole: int, torch) -> str:
    return f"{name}: {hardware}, {_free_bytes(name, torch) / 2**30:.1f} of {whole / 2**30:.1f} GiB free"


def _free_bytes(name: str, torch) -> int:
    if name == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    # What torch's own cache holds unused is free for us too.
    free, _ = torch.cuda.mem_get_info(name)
    return free + torch.cuda.memory_reserved(name) - torch.cuda.memory_allocated(name)
