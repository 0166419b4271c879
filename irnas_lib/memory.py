"""How the process holds its memory."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory for the next tensor instead of giving it back to the system; no-op elsewhere.

    A picture's features are large blocks. By default each one is fetched from the system anew, a page fault for
    every 4 KB, which takes longer than what is computed in it. The process stays as large as it ever was.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
