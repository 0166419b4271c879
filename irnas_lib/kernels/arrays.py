"""Tensors as numba's kernels see them, and the threads that the kernels run on."""

import contextlib
import threading
from collections.abc import Iterator

import numba
import numpy as np
import torch
from torch import Tensor

# OpenMP first: on Linux it is torch's own pool of threads, and two pools would fight for the cores.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
_one_caller = threading.Lock()  # numba's last choice, workqueue, allows no more


@contextlib.contextmanager
def threads() -> Iterator[None]:
    """One caller at a time, on as many threads as torch uses."""
    with _one_caller:
        number = torch.get_num_threads()
        numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))
        if torch.get_num_threads() != number:  # numba's start sets OpenMP's number, which is torch's
            torch.set_num_threads(number)
        yield


def last(tensor: Tensor, *parts: int) -> np.ndarray:
    """(B, C, H, W) as an array (B, H, W, C), or `(B, H, W, *parts)`; where the tensor lies channels last, nothing is
    copied. bfloat16 becomes uint16."""
    tensor = tensor.detach().permute(0, 2, 3, 1).contiguous()
    array = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array.reshape(*array.shape[:3], *parts) if parts else array
