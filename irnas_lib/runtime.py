"""The machine under a process: its device, its memory, Ctrl-C, and numba's compiler with its cache."""

import contextlib
import ctypes
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import torch
from llvmlite.binding import get_host_cpu_features

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def device_name(device: torch.device) -> str:
    """Such as "NVIDIA H100 80GB HBM3", or "CPU, 2 threads"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    features = get_host_cpu_features()
    return features.get("avx512bf16", False) or features.get("amx-bf16", False)


@contextlib.contextmanager
def interrupts_held() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C or SIGTERM into an event that is set; outside the main thread it changes nothing."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    usual = {heard: signal.getsignal(heard) for heard in (signal.SIGINT, signal.SIGTERM)}

    def hold(heard, _):
        signal.signal(heard, usual[heard])
        event.set()
    for heard in usual:
        signal.signal(heard, hold)
    try:
        yield event
    finally:
        for heard, handler in usual.items():
            signal.signal(heard, handler)


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory for the next tensor instead of giving it back to the system; no-op elsewhere.

    A picture's features are large blocks. By default each one is fetched from the system anew, a page fault for
    every 4 KB, which takes longer than what is computed in it. The process stays as large as it ever was.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def measured_peak(run: Callable[[], object]) -> float:
    """The most memory in MB that `run` holds above what the process held before, on a CPU (Linux) or a GPU."""
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2 ** 20
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(name: str) -> float:
    """A line of /proc/self/status, in MB."""
    line = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(line[1]) / 1024


def njit(**options) -> Callable:
    """`numba.njit(cache=True, ...)`; without a cache where no folder for one can be written to, such as for another
    user's installation and no home of one's own: each process then compiles, in seconds to minutes."""
    def compiled(function):
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return numba.njit(**options)(function)
    return compiled
