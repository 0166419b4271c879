"""Steps of a long run: resumable after any interruption, and on a GPU without Python's cost."""

import functools
import time
from collections.abc import Callable, Iterator

import torch
from tqdm import tqdm

from irnas_lib.runtime import interrupts_held

SAVE_SECONDS = 60.0  # the most that a killed run loses
WARM_UP = 3  # ordinary steps before a recording, in which libraries allocate memory and choose their kernels


class Diverged(RuntimeError):
    """A training whose loss is no longer finite, or has grown far beyond that of the first batch.

    curve: what was logged until then, as `train` returns it.
    """

    def __init__(self, message: str, curve: list | None = None):
        super().__init__(message)
        self.curve = curve or []


def resumable(start: int, iterations: int, save: Callable[[int], None], description: str) -> Iterator[int]:
    """The steps start, ..., iterations - 1 with a progress bar; calls save(steps done) once a minute and at the end.

    Ctrl-C and SIGTERM let the step in hand end, save and then interrupt, so that nothing is lost; a second one does not
    wait.
    """
    saved = time.monotonic()
    with interrupts_held() as interrupted:
        for iteration in tqdm(range(start, iterations), initial=start, total=iterations, desc=description):
            yield iteration
            if interrupted.is_set() or time.monotonic() - saved > SAVE_SECONDS:
                save(iteration + 1)
                saved = time.monotonic()
            if interrupted.is_set():
                raise KeyboardInterrupt(f"stopped after {iteration + 1} steps; run again to go on")
        if start < iterations:
            save(iterations)


def captured(step: Callable, device: torch.device) -> Callable:
    """On CUDA, `step` as a CUDA graph; elsewhere `step` itself.

    A step of these networks is about a thousand small kernels, which Python launches more slowly than the GPU runs
    them. `step` takes tensors of fixed shapes, returns tensors, and must not read values back. The first calls are
    ordinary steps; afterwards a call copies its arguments to where the recording reads them and replays it.
    """
    if device.type != "cuda":
        return step
    tuned = functools.partial(torch.backends.cudnn.flags, enabled=True, benchmark=True)  # not of what runs later
    side = torch.cuda.Stream()
    calls, graph, inputs, outputs = 0, None, None, None

    def call(*arguments):
        nonlocal calls, graph, inputs, outputs
        calls += 1
        if calls <= WARM_UP:
            side.wait_stream(torch.cuda.current_stream())
            with tuned(), torch.cuda.stream(side):
                result = step(*arguments)
            torch.cuda.current_stream().wait_stream(side)
            return result
        if graph is None:
            inputs = [argument.clone() for argument in arguments]
            graph = torch.cuda.CUDAGraph()
            with tuned(), torch.cuda.graph(graph):
                outputs = step(*inputs)
        for place, argument in zip(inputs, arguments):
            place.copy_(argument)
        graph.replay()
        return tuple(output.clone() for output in outputs)
    return call
