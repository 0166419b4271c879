"""numba's compiler with its cache on disk, as every kernel here is compiled."""

from collections.abc import Callable

import numba


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
