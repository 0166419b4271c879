"""The interactive pictures without a browser: sliders moved in Python, and what a page without a reader shows."""

import base64
import datetime
import io
import math
import re

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.filters import gaussian
from skimage.metrics import structural_similarity

from irnas_lib import decode
from irnas_lib.data import datasets
from irnas_lib.data.pictures import PictureError, to_tensor
from irnas_lib.figures import before_after, interactive, plots
from irnas_lib.pipeline import execution, profiles
from irnas_lib.search_space import MOVES, existing_moves, source_rows

BETA = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
LINE = "Viterbi's path {}: probability {:.4f}, {:.3f} times that of the second, {}"


@pytest.fixture
def explorer(monkeypatch):
    monkeypatch.setattr(interactive, "has_reader", lambda: True)
    return interactive.path_explorer(BETA)


def agrees(explorer, beta) -> bool:
    """Whether line and picture are those of beta, by trying every path."""
    chance = {path: math.exp(decode.path_log_probability(beta, path)) for path in decode.all_paths(4)}
    first, second = sorted(chance, key=chance.get, reverse=True)[:2]
    names = [",".join(map(str, path)) for path in (first, second)]
    trellis = plots.draw_trellis(beta, decode.viterbi_path(beta)[0], {"second": second})
    return (explorer.line.value == LINE.format(names[0], chance[first], chance[first] / chance[second], names[1])
            and explorer.picture.value == trellis._repr_png_())


def test_it_opens_with_beta_as_it_is(explorer):
    assert agrees(explorer, BETA)


def test_a_slider_redraws_line_and_picture_and_leaves_beta_alone(explorer):
    before = decode.viterbi_path(BETA)[0]
    row = source_rows(4).index((3, before[2]))  # where the path makes its last move
    column = next(i for i in range(3) if existing_moves(9, BETA.device)[row, i] and MOVES[i] != before[3] - before[2])
    kept, moved = BETA.clone(), BETA.clone()
    moved[row, column] += 3
    explorer.sliders[row, column].value = 3
    assert decode.viterbi_path(moved)[0] != before
    assert agrees(explorer, moved) and not agrees(explorer, BETA)
    assert BETA.equal(kept)
    explorer.sliders[row, column].value = 0
    assert agrees(explorer, BETA)


def test_there_is_a_slider_for_every_move_that_exists_and_those_of_one_cell_are_shown(explorer):
    assert set(explorer.sliders) == {tuple(entry) for entry in existing_moves(9, BETA.device).nonzero().tolist()}
    for (name, row), (layer, level) in zip(explorer.cell.options, source_rows(4)):
        explorer.cell.value = row
        assert name == (f"layer {layer}, level {level}" if layer else "start")
        assert [slider.description for slider in explorer.shown.children] == [
            word for word, move in (("narrower", -1), ("same", 0), ("wider", 1)) if 0 <= level + move <= 2]


def test_sliders_of_other_cells_stay_as_they_were(explorer):
    moved = BETA.clone()
    for row, added in ((0, 1.5), (4, -2.0)):
        explorer.cell.value = row
        explorer.shown.children[0].value = added
        moved[row, existing_moves(9, BETA.device)[row].nonzero()[0]] += added
    assert agrees(explorer, moved)


def test_a_page_saved_with_the_widget_has_its_picture_too(explorer):
    shown = explorer._repr_mimebundle_()
    assert shown["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    assert base64.b64decode(shown["image/png"]) == explorer.picture.value


def test_a_page_that_nobody_sits_before_has_the_picture_and_no_widget(tmp_path):
    (tmp_path / "page.py").write_text(f'''# %% tags=["parameters"]
profile = "smoke"

# %%
import torch
from irnas_lib.figures import interactive
interactive.path_explorer(torch.tensor({BETA.tolist()}))
''')
    made = execution.run(profiles.Job("page", "page", {}, ()), tmp_path / "out", tmp_path)
    page = nbformat.read(made, as_version=4)
    line, picture = page.cells[-1].outputs
    expected, trellis = interactive.decoded(BETA)
    assert line.text == expected + "\n"
    assert base64.b64decode(picture.data["image/png"]) == trellis._repr_png_()
    assert "widget" not in made.read_text()


def test_the_softmax_follows_its_sliders_and_leaves_alpha_alone(monkeypatch):
    monkeypatch.setattr(interactive, "has_reader", lambda: True)
    alpha, names = torch.tensor([1.0, 0.0, 0.7, -1.0]), ("conv", "dil", "skip", "none")
    explorer = interactive.softmax_explorer(alpha, names)
    assert [slider.description for slider in explorer.children[:4]] == list(names)
    explorer.sliders["none"].value = 2.5
    logits = (1.0, 0.0, 0.7, 2.5)
    weights = [math.exp(value) / sum(map(math.exp, logits)) for value in logits]
    entropy = sum(weight * math.log(weight, 1 / 4) for weight in weights)
    assert explorer.line.value == (f"strongest: none, weight {weights[3]:.2f}; normalised entropy {entropy:.2f} "
                                   "(1 undecided, 0 decided)")
    bars = plots.draw_softmax(logits, torch.tensor(logits).softmax(0).tolist(), names)
    assert explorer.picture.value == bars._repr_png_()
    assert alpha.tolist() == torch.tensor([1.0, 0.0, 0.7, -1.0]).tolist()


def test_a_softmax_that_nobody_can_move_is_a_line_and_a_picture(monkeypatch, capsys):
    monkeypatch.setattr(interactive, "has_reader", lambda: False)
    shown = interactive.softmax_explorer(torch.zeros(4), ("conv", "dil", "skip", "none"))
    assert isinstance(shown, plots.Plot)
    assert capsys.readouterr().out.split(";")[1].startswith(" normalised entropy 1.00")


@pytest.fixture(scope="module")
def noisy_pair():
    clean = to_tensor(datasets.load("denoising", "embedded").train[0].clean)[None, :, :96, :96]
    return clean, clean + 50 / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def test_lambda_chooses_the_blur_with_the_smallest_loss(monkeypatch, noisy_pair):
    monkeypatch.setattr(interactive, "has_reader", lambda: True)
    clean, noisy = noisy_pair
    explorer, scores = interactive.loss_explorer(clean, noisy), []
    for weight in (0.0, 0.5):
        explorer.sliders["lambda"].value = weight

        def loss(width, weight=weight):
            blurred = gaussian(noisy[0, 0].numpy(), width, mode="mirror", truncate=12 / width)
            error = np.mean((blurred - clean[0, 0].numpy()) ** 2)
            similar = structural_similarity(blurred, clean[0, 0].numpy(), data_range=1, gaussian_weights=True,
                                            use_sample_covariance=False)
            return error + weight * math.log10(1 / similar), 10 * math.log10(1 / error), similar

        width = min(interactive.BLURS, key=loss)
        found, quality, similar = map(float, re.findall(r"[\d.]+\d", explorer.line.value)[-3:])
        assert found == pytest.approx(width, abs=0.01) and quality == pytest.approx(loss(width)[1], abs=0.01)
        scores.append((quality, similar))
    assert scores[0][0] > scores[1][0] and scores[0][1] < scores[1][1]  # lambda buys SSIM with PSNR


def test_a_lambda_that_nobody_can_move_is_lines_and_a_picture(monkeypatch, noisy_pair, capsys):
    monkeypatch.setattr(interactive, "has_reader", lambda: False)
    assert isinstance(interactive.loss_explorer(*noisy_pair), plots.Plot)
    found = re.findall(r"^lambda ([\d.]+): a blur of ", capsys.readouterr().out, re.MULTILINE)
    assert found == ["0", "0.5", "2"]


# ---- before and after ----

BEFORE, AFTER = np.random.default_rng(0).integers(0, 256, (2, 120, 180, 3), dtype=np.uint8)


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(interactive, "has_reader", lambda: True)


def shown(divider):
    return np.array(Image.open(io.BytesIO(divider.picture.value)))


def test_the_sliders_move_the_divider_and_the_crop(reader):
    divider = interactive.divider(BEFORE, AFTER)
    corner = before_after.contrasting(AFTER, 80)
    assert np.array_equal(shown(divider), before_after.side_by_side(BEFORE, AFTER, 0.5, corner))
    for name, value in (("divider", 20), ("crop across", 100), ("crop down", 50)):
        divider.sliders[name].value = value
    assert np.array_equal(shown(divider), before_after.side_by_side(BEFORE, AFTER, 0.2, (20, 100)))
    assert base64.b64decode(divider._repr_mimebundle_()["image/png"]) == divider.picture.value


def test_without_a_reader_before_and_after_are_a_picture_and_there_is_no_button(tmp_path, capsys):
    drawn = np.array(Image.open(io.BytesIO(interactive.divider(BEFORE, AFTER).data)))
    assert np.array_equal(drawn, before_after.side_by_side(BEFORE, AFTER))
    assert interactive.upload(None, tmp_path) is None
    assert "a button stands here" in capsys.readouterr().out


def press(button, name, content):
    """As the browser does it: the file's name may be a path on some systems, which leads nowhere here."""
    now = datetime.datetime.now(datetime.UTC)
    button.value = ({"name": name, "type": "image/png", "size": len(content), "content": memoryview(content),
                     "last_modified": now},)


def test_a_picture_that_is_uploaded_is_restored_saved_and_shown(reader, tmp_path):
    def restore(source, target):
        target.write_bytes(source.read_bytes()[::-1])
        return BEFORE, AFTER, f"{source.name}: noise"
    widget = interactive.upload(restore, tmp_path / "mine")
    press(widget.button, "../../cat.png", b"abc")
    assert (tmp_path / "mine" / "cat-restored.png").read_bytes() == b"cba"
    assert widget.line.value == "cat.png: noise; saved as cat-restored.png"
    assert np.array_equal(shown(widget.shown.children[0]), shown(interactive.divider(BEFORE, AFTER)))


def test_what_cannot_be_restored_is_said_beside_the_button(reader, tmp_path):
    def restore(source, target):
        raise PictureError(f"{source.name}: not a picture")
    widget = interactive.upload(restore, tmp_path)
    press(widget.button, "text.png", b"abc")
    assert widget.line.value == "text.png: not a picture" and not widget.shown.children
