"""A picture to play with: beta's logits on sliders, and the path that Viterbi's algorithm then decodes."""

import base64
import math

import ipywidgets as widgets
import torch
from IPython import get_ipython
from matplotlib.figure import Figure

from irnas_lib import decode
from irnas_lib.figures import plots
from irnas_lib.search_space import MOVES, layers_for, move_exists, source_rows


def path_explorer(beta: torch.Tensor) -> widgets.VBox | Figure:
    """The trellis of raw logits beta, (rows, 3), with sliders that add -3 to 3 to each of them; beta itself stays.

    Every change draws Viterbi's path (thick) and the second best (dashed) again, and says how probable they are.
    Where nobody can move a slider: the same picture and line, of beta as it is, and no widget.
    """
    if has_reader():
        return Explorer(beta)
    line, trellis = decoded(beta)
    print(line)
    return trellis


def has_reader() -> bool:
    """Whether somebody sits before this kernel: JupyterLab lets it ask for input, papermill does not."""
    return getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False)


def decoded(beta: torch.Tensor) -> tuple[str, Figure]:
    """A line about the best and the second best path, and their trellis."""
    path, best = decode.viterbi_path(beta)
    scores = {rival: decode.path_log_probability(beta, rival) for rival in decode.all_paths(len(path)) if rival != path}
    second = max(scores, key=scores.get)
    line = (f"Viterbi's path {','.join(map(str, path))}: probability {math.exp(best):.4f}, "
            f"{math.exp(best - scores[second]):.3f} times that of the second, {','.join(map(str, second))}")
    return line, plots.draw_trellis(beta, path, {"second": second})


class Explorer(widgets.VBox):
    """A dropdown of cells, the sliders of the chosen one, and what `decoded` makes of beta with all sliders added."""

    def __init__(self, beta: torch.Tensor):
        rows = source_rows(layers_for(len(beta)))
        self.beta = beta.detach().clone()
        self.cell = widgets.Dropdown(description="moves from", options=[
            (f"layer {layer}, level {level}" if layer else "start", row) for row, (layer, level) in enumerate(rows)])
        self.sliders = {
            (row, column): widgets.FloatSlider(min=-3, max=3, step=0.1, readout_format="+.1f",
                                               description=plots.MOVE_STYLES[move][1])
            for row, (_, level) in enumerate(rows) for column, move in enumerate(MOVES) if move_exists(level, move)}
        self.shown, self.line = widgets.HBox(), widgets.Label()
        self.picture = widgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})
        super().__init__([self.cell, self.shown, self.line, self.picture])
        self.cell.observe(self._choose, "value")
        for slider in self.sliders.values():
            slider.observe(self._redraw, "value")
        self._choose()
        self._redraw()

    def _choose(self, _=None):
        self.shown.children = [slider for (row, _), slider in self.sliders.items() if row == self.cell.value]

    def _redraw(self, _=None):
        moved = self.beta.clone()
        for entry, slider in self.sliders.items():
            moved[entry] += slider.value
        self.line.value, trellis = decoded(moved)
        self.picture.value = trellis._repr_png_()

    def _repr_mimebundle_(self, **kwargs):
        # A page saved with the widget shows the picture wherever it is read without a kernel.
        return super()._repr_mimebundle_(**kwargs) | {"image/png": base64.b64encode(self.picture.value).decode()}
