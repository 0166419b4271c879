"""Kernels are cached on disk, and compile without a cache where none can be kept."""

from irnas_lib import runtime
from irnas_lib.kernels import deform_cpu

SOURCE = "def double(x):\n    return 2 * x\n"


def test_a_function_whose_folder_no_cache_can_lie_in_is_compiled_all_the_same():
    names = {}
    exec(compile(SOURCE, "<nowhere>", "exec"), names)
    double = runtime.njit()(names["double"])
    assert double(21) == 42 and double.signatures
    assert double._cache.cache_path is None


def test_the_kernels_are_cached():
    assert deform_cpu.forward._cache.cache_path
