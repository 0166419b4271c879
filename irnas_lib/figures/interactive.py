"""Pictures to play with: sliders, and what becomes of a softmax of alpha, of Viterbi's path, of the loss's minimum; a
divider between a picture before and after its restoration; a picture of one's own, uploaded and restored."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from IPython import get_ipython
from IPython.display import Image as Png
from matplotlib.figure import Figure
from PIL import Image
from torchvision.transforms.functional import gaussian_blur

from irnas_lib import decode
from irnas_lib.data.pictures import PictureError
from irnas_lib.figures import before_after, plots
from irnas_lib.losses import restoration_loss
from irnas_lib.metrics import psnr, ssim
from irnas_lib.search_space import MOVES, layers_for, move_exists, source_rows

LAMBDAS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0)  # 0.5 is the paper's
BLURS = tuple(0.4 * 10 ** (i / 99) for i in range(100))  # standard deviations of Gaussian blurs, in pixels
MOVE_NAMES = {-1: "narrower", 0: "same", 1: "wider"}
BLUR_WINDOW = 25  # three deviations of the widest to each side


def path_explorer(beta: torch.Tensor) -> widgets.VBox | Figure:
    """The trellis of raw logits beta, (rows, 3), with sliders that add -3 to 3 to each of them; beta itself stays.

    Every change draws Viterbi's path (thick) and the second best (dashed) again, and says how probable they are.
    Where nobody can move a slider: the same picture and line, of beta as it is, and no widget.
    """
    if has_reader():
        return PathExplorer(beta)
    line, trellis = decoded(beta)
    print(line)
    return trellis


def softmax_explorer(alpha: torch.Tensor, names: Sequence[str]) -> widgets.VBox | Figure:
    """One edge's raw logits alpha, (K,), of the K operations `names`, on sliders from -4 to 4; alpha itself stays.

    Every change draws the softmax (Eq. 2) again and says how decided it is. Where nobody can move a slider: the same
    picture and line, of alpha as it is, and no widget.
    """
    if has_reader():
        return SoftmaxExplorer(alpha, names)
    line, bars = weighed(alpha, names)
    print(line)
    return bars


def loss_explorer(clean: torch.Tensor, noisy: torch.Tensor, weight: float = 0.5) -> widgets.VBox | Figure:
    """Eq. 7 as a judge: the noisy picture, blurred more and more, and which blur has the smallest loss at a lambda.

    clean, noisy: (1, C, H, W) in [0, 1], both sides at least 25. weight: lambda, one of LAMBDAS. A slider moves lambda.
    The picture has lambda 0 beside it. Where nobody can move a slider: the same picture, of `weight`, a line for it
    and for the ends of LAMBDAS, no widget.
    """
    blurred = [gaussian_blur(noisy, BLUR_WINDOW, [width, width]) for width in BLURS]
    if has_reader():
        return LossExplorer(clean, blurred, weight)
    lines, pictures = zip(*(judged(clean, blurred, shown) for shown in (LAMBDAS[0], weight, LAMBDAS[-1])))
    print(*lines, sep="\n")
    return pictures[1]


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


def weighed(alpha: torch.Tensor, names: Sequence[str]) -> tuple[str, Figure]:
    """A line about the strongest operation, and the bars of alpha and of its softmax side by side."""
    weights = alpha.detach().softmax(dim=0)
    entropy = -(weights * weights.log()).sum().item() / math.log(len(weights))
    line = (f"strongest: {names[int(weights.argmax())]}, weight {weights.max().item():.2f}; "
            f"normalised entropy {entropy:.2f} (1 undecided, 0 decided)")
    return line, plots.draw_softmax(alpha.tolist(), weights.tolist(), names)


def judged(clean: torch.Tensor, blurred: Sequence[torch.Tensor], weight: float) -> tuple[str, Figure]:
    """A line about the blur with the smallest loss at this lambda; the losses of all at it and at 0, and the best."""
    curves = {shown: [restoration_loss(picture, clean, shown).item() for picture in blurred]
              for shown in sorted({0.0, weight})}
    best = min(range(len(blurred)), key=curves[weight].__getitem__)
    line = (f"lambda {weight:g}: a blur of {BLURS[best]:.2f} pixels has the smallest loss; "
            f"{psnr(blurred[best], clean).item():.2f} dB, SSIM {ssim(blurred[best], clean).item():.3f}")
    return line, plots.draw_losses(BLURS, curves, blurred, clean)


class Explorer(widgets.VBox):
    """Sliders by their keys, and below them the line and the picture that `made` returns whenever one has moved."""

    def __init__(self, sliders: dict, above: Sequence[widgets.Widget]):
        self.sliders = sliders
        self.line = widgets.Label()
        self.picture = widgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})
        super().__init__([*above, self.line, self.picture])
        for slider in self.sliders.values():
            slider.observe(self._redraw, "value")
        self._redraw()

    def made(self) -> tuple[str, Figure]:
        raise NotImplementedError

    def _redraw(self, _=None):
        self.line.value, figure = self.made()
        self.picture.value = figure._repr_png_()

    def _repr_mimebundle_(self, **kwargs):
        # A page saved with the widget shows the picture wherever it is read without a kernel.
        return super()._repr_mimebundle_(**kwargs) | {"image/png": base64.b64encode(self.picture.value).decode()}


class SoftmaxExplorer(Explorer):
    """A slider for each logit."""

    def __init__(self, alpha: torch.Tensor, names: Sequence[str]):
        self.names = tuple(names)
        sliders = {name: widgets.FloatSlider(value, min=-4, max=4, step=0.1, readout_format="+.1f", description=name)
                   for name, value in zip(self.names, alpha.tolist(), strict=True)}
        super().__init__(sliders, tuple(sliders.values()))

    def made(self) -> tuple[str, Figure]:
        return weighed(torch.tensor([slider.value for slider in self.sliders.values()]), self.names)


class PathExplorer(Explorer):
    """A dropdown of cells, the sliders of the chosen one, and what `decoded` makes of beta with all sliders added."""

    def __init__(self, beta: torch.Tensor):
        rows = source_rows(layers_for(len(beta)))
        self.beta = beta.detach().clone()
        self.cell = widgets.Dropdown(description="moves from", options=[
            (f"layer {layer}, level {level}" if layer else "start", row) for row, (layer, level) in enumerate(rows)])
        self.shown = widgets.HBox()
        super().__init__({
            (row, column): widgets.FloatSlider(min=-3, max=3, step=0.1, readout_format="+.1f",
                                               description=MOVE_NAMES[move])
            for row, (_, level) in enumerate(rows) for column, move in enumerate(MOVES) if move_exists(level, move)},
            (self.cell, self.shown))
        self.cell.observe(self._choose, "value")
        self._choose()

    def _choose(self, _=None):
        self.shown.children = [slider for (row, _), slider in self.sliders.items() if row == self.cell.value]

    def made(self) -> tuple[str, Figure]:
        moved = self.beta.clone()
        for entry, slider in self.sliders.items():
            moved[entry] += slider.value
        return decoded(moved)


class LossExplorer(Explorer):
    """A slider for lambda."""

    def __init__(self, clean: torch.Tensor, blurred: Sequence[torch.Tensor], weight: float):
        self.clean, self.blurred = clean, blurred
        slider = widgets.SelectionSlider(options=LAMBDAS, value=weight, description="lambda")
        super().__init__({"lambda": slider}, (slider,))

    def made(self) -> tuple[str, Figure]:
        return judged(self.clean, self.blurred, self.sliders["lambda"].value)


def divider(before: np.ndarray, after: np.ndarray) -> widgets.VBox | Png:
    """`before_after.side_by_side` of two pictures, uint8 (H, W, 1 or 3), with sliders for the divider and for where the
    enlarged crop lies. Where nobody can move a slider: the picture alone."""
    return Divider(before, after) if has_reader() else Png(_png(before_after.side_by_side(before, after)))


class Divider(widgets.VBox):
    """Three sliders, in hundredths: the divider, and the crop's place across and down."""

    def __init__(self, before: np.ndarray, after: np.ndarray):
        self.pictures = before, after
        height, width = before.shape[:2]
        side = min(before_after.CROP, height, width)
        self.room = height - side, width - side
        top, left = before_after.contrasting(after, side)
        starts = {"divider": 50, "crop across": round(100 * left / max(1, width - side)),
                  "crop down": round(100 * top / max(1, height - side))}
        self.sliders = {name: widgets.IntSlider(start, 0, 100, description=name) for name, start in starts.items()}
        self.picture = widgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})
        super().__init__([widgets.HBox(list(self.sliders.values())), self.picture])
        for slider in self.sliders.values():
            slider.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, _=None):
        share, across, down = (slider.value / 100 for slider in self.sliders.values())
        corner = round(down * self.room[0]), round(across * self.room[1])
        self.picture.value = _png(before_after.side_by_side(*self.pictures, share, corner))

    def _repr_mimebundle_(self, **kwargs):
        return super()._repr_mimebundle_(**kwargs) | {"image/png": base64.b64encode(self.picture.value).decode()}


def upload(restore: Callable[[Path, Path], tuple[np.ndarray, np.ndarray, str]], folder: Path) -> widgets.VBox | None:
    """A button that takes a picture of one's own, restores it and shows before and after with a divider.

    restore: from a file to another file; returns both pictures and a line about them. PictureError is shown.
    folder: where the uploaded file is put, and its restoration as NAME-restored.png. Where nobody can press a button,
    a line says so, and nothing is returned.
    """
    if has_reader():
        return Upload(restore, folder)
    print("In JupyterLab a button stands here that takes a picture of your own.")
    return None


class Upload(widgets.VBox):
    """The button, a line, and the divider."""

    def __init__(self, restore, folder: Path):
        self.restore, self.folder = restore, folder
        self.button = widgets.FileUpload(accept="image/*", multiple=False)
        self.line, self.shown = widgets.Label("no picture yet"), widgets.VBox()
        super().__init__([self.button, self.line, self.shown])
        self.button.observe(self._restore, "value")

    def _restore(self, _=None):
        if not self.button.value:
            return
        (uploaded,) = self.button.value
        source = self.folder / Path(uploaded["name"]).name
        target = self.folder / f"{source.stem}-restored.png"
        self.line.value, self.shown.children = f"{source.name} is being restored ...", ()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            source.write_bytes(uploaded["content"])
            before, after, caption = self.restore(source, target)
        except (PictureError, OSError) as error:
            self.line.value = str(error)
            return
        self.line.value, self.shown.children = f"{caption}; saved as {target.name}", (Divider(before, after),)


def _png(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(array).save(held, "PNG")
    return held.getvalue()
