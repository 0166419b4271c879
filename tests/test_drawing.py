"""Architecture drawings: every state, operation and transition of the object is there, and nothing else."""

import base64
import io
import re

import pytest
from PIL import Image

from irnas_lib.figures import drawing
from irnas_lib.genotypes import DENOISING, DENOISING_R1, DENOISING_R2, DERAINING, DERAINING_R2, Genotype
from irnas_lib.network import RestorationNetwork
from irnas_lib.supercell import PlainSupercell, Supercell
from irnas_lib.supernet import Supernet


def arrows(picture, visible=True):
    """(source, target, attributes) of each edge in the DOT source."""
    found = re.findall(r'^\s*"?([\w]+)"? -> "?([\w]+)"?(?: \[(.*)\])?$', picture.source, re.MULTILINE)
    return [edge for edge in found if "style=invis" not in edge[2] or not visible]


def labels(picture):
    return re.findall(r'^\s*"?\w+"? \[label="?([^"\]]+?)"?[\s\]]', picture.source, re.MULTILINE)


@pytest.mark.parametrize("cell", [Supercell(3, 2), PlainSupercell(3, 2)], ids=["fused", "plain"])
def test_a_supercell_has_an_edge_from_every_earlier_state_with_six_operations(cell):
    drawn = {}
    for a, b, kind in arrows(drawing.draw_supercell(cell)):
        drawn.setdefault((a, b), []).append(kind)
    expected = {("p2", "n1"), ("p1", "n1"), ("p2", "n2"), ("p1", "n2"), ("n1", "n2"), ("p2", "n3"), ("p1", "n3"),
                ("n1", "n3"), ("n2", "n3")}
    assert drawn.keys() == expected | {("n1", "out"), ("n2", "out"), ("n3", "out")}
    colours = {edge: [re.search('color="([^"]+)"', kind)[1] for kind in drawn[edge]] for edge in expected}
    assert colours.pop(("p2", "n1")) == list(drawing.COLOURS), "the first edge shows the six, the others are grey"
    assert all(drawn == [drawing.FAINT] for drawn in colours.values())


@pytest.mark.parametrize("genotype", [DENOISING, DERAINING_R2, Genotype([[("sep", "p2"), ("dil", "p2")]])])
def test_a_cell_shows_each_node_with_its_two_operations_and_inputs(genotype):
    picture = drawing.draw_cell(genotype)
    drawn = [(a, b) for a, b, _ in arrows(picture)]
    for i, node in enumerate(genotype, 1):
        boxes = [a for a, b in drawn if b == f"n{i}"]
        shown = []
        for box in boxes:
            operation = re.search(rf"^\s*{box} \[label=(\w+)", picture.source, re.MULTILINE)[1]
            shown += [(operation, a) for a, b in drawn if b == box]
        assert sorted(shown) == sorted(map(tuple, node))
        assert (f"n{i}", "out") in drawn
    assert len(drawn) == 5 * len(genotype)


def test_changes_finds_what_figure_6_marks():
    assert drawing.changes(DENOISING, DENOISING) == set()
    assert drawing.changes(DENOISING_R1, DENOISING) == {("n1", 0), ("n1", 1)}
    assert drawing.changes(DENOISING_R2, DENOISING) == {("n4", 0), ("n4", 1)}
    swapped = Genotype([DENOISING[0][::-1], *DENOISING[1:]])
    assert drawing.changes(swapped, DENOISING) == set(), "a sum has no order"
    changed = Genotype([[("conv", "p1"), ("sep", "p1")], *DENOISING[1:]])
    assert drawing.changes(changed, DENOISING) == {("n1", 1)}
    assert drawing.changes(DENOISING, Genotype(DENOISING[:4])) == {("n5", 0), ("n5", 1)}


def test_changed_edges_differ_without_colour():
    plain, marked = (drawing.draw_cell(DENOISING_R2, changed) for changed in ((), {("n4", 0)}))
    assert "dashed" not in plain.source
    lines = [line for line in marked.source.splitlines() if "dashed" in line]
    assert [line.split(" [")[0].strip() for line in lines] == ["n4", "n40", "n2 -> n40", "n40 -> n4"]
    assert all("penwidth=2.2" in line for line in lines)


@pytest.mark.parametrize(("layers", "cells", "moves"), [(1, 2, 2), (2, 5, 2 + 5), (4, 11, 2 + 5 + 7 + 7)])
def test_a_supernet_shows_its_cells_and_transitions(layers, cells, moves):
    supernet = Supernet(layers, 2, 3, 1)
    drawn = arrows(drawing.draw_supernet(supernet))
    boxes = {b for _, b, _ in drawn if re.fullmatch(r"\d+_\d", b)}
    assert len(boxes) == cells
    firsts = [(a, b) for a, b, kind in drawn if b in boxes and "dotted" not in kind]
    seconds = [(a, b) for a, b, kind in drawn if b in boxes and "dotted" in kind]
    assert len(firsts) == moves and len(seconds) == cells
    places = [[tuple(map(int, f"{end}_0".split("_")[:2])) for end in move] for move in firsts]
    assert all(b[0] - a[0] == 1 and abs(b[1] - a[1]) <= 1 for a, b in places) and len(set(firsts)) == moves


def test_a_supernet_with_a_cell_an_edge_says_how_many():
    source = drawing.draw_supernet(Supernet(2, 2, 3, 1, sharing="edge")).source
    assert sorted(re.findall(r"\n(\d × \d+) \|", source)) == ["2 × 3", "2 × 6"]
    assert "C₂²\n12 | 24" in source


def test_a_network_shows_its_path_widths_and_decoder():
    picture = drawing.draw_network(RestorationNetwork(DERAINING, (0, 1, 2, 1), 15, 3))
    drawn = {(a, b) for a, b, _ in arrows(picture)}
    assert {("0", "1_0"), ("1_0", "2_1"), ("2_1", "3_2"), ("3_2", "4_1"), ("4_1", "aspp"), ("aspp", "decoder"),
            ("1_0", "low"), ("low", "decoder"), ("decoder", "out")} <= drawn
    assert {("stem", "1_0"), ("0", "2_1"), ("1_0", "3_2"), ("2_1", "4_1")} <= drawn, "second inputs"
    for label in ("cell 1\n15 | 60", "cell 2\n30 | 120", "cell 3\n60 | 240", "ASPP\n128", "1×1\n48"):
        assert label in picture.source
    assert ("in", "out") not in drawn


def test_a_network_without_a_narrow_cell_decodes_from_the_stem():
    picture = drawing.draw_network(RestorationNetwork(DERAINING, (1, 1), 4, 3, global_residual=True))
    drawn = {(a, b) for a, b, _ in arrows(picture)}
    assert {("0", "low"), ("in", "out")} <= drawn


def test_files_are_whole_and_the_same_every_time(tmp_path):
    picture = drawing.draw_cell(DENOISING)
    for suffix in ("svg", "png"):
        first, second = (drawing.render(picture, tmp_path / f"{name}.{suffix}") for name in "ab")
        assert first.read_bytes() == second.read_bytes()
    text = (tmp_path / "a.svg").read_text()
    assert text.startswith("<svg") and "<!--" not in text
    assert set(re.findall(r">(conv|sep|dil|def|skip)<", text)) == {"conv", "dil", "def", "skip"}
    with Image.open(tmp_path / "a.png") as image:
        assert min(image.size) > 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


def test_a_notebook_shows_a_drawing_as_png():
    data, metadata = drawing.draw_cell(DERAINING)._repr_mimebundle_()
    assert data.keys() == metadata.keys() == {"image/png"}
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert metadata["image/png"]["width"] == round(picture.width * 96 / 200)


def test_labels_have_the_same_size_whatever_fonts_are_installed(tmp_path, monkeypatch):
    usual = drawing.svg(drawing.draw_cell(DERAINING))
    nothing = tmp_path / "none.conf"
    nothing.write_text("<fontconfig></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(nothing))
    assert drawing.svg(drawing.draw_cell(DERAINING)) == usual


def test_an_installed_graphviz_draws_where_pygraphviz_does_not_load(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "PYGRAPHVIZ", "raise ImportError('libx.so.0: cannot open shared object file')")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(drawing.DrawingError, match="libx.so.0: [^\n]*Debian has it in libglib2.0-0"):
        drawing.svg(drawing.draw_cell(DENOISING))
    (tmp_path / "dot").write_text("#!/bin/sh\necho '<svg>installed</svg>'\n")
    (tmp_path / "dot").chmod(0o755)
    assert drawing.svg(drawing.draw_cell(DENOISING)) == "<svg>installed</svg>\n"


def test_what_cannot_be_drawn_is_said_in_one_line(tmp_path):
    with pytest.raises(drawing.DrawingError, match=r"\.svg or \.png"):
        drawing.render(drawing.draw_cell(DENOISING), tmp_path / "cell.gif")
    broken = drawing.draw_cell(DENOISING)
    broken.body.append("\tn1 -> [")
    with pytest.raises(drawing.DrawingError, match="Graphviz failed: [^\n]+$"):
        drawing.render(broken, tmp_path / "cell.svg")
    assert not list(tmp_path.iterdir())


def test_cells_beside_each_other_have_their_names_and_marks():
    source = drawing.draw_cells({"found": DENOISING_R2, "published": DENOISING}, DENOISING).source
    assert "label=found" in source and "label=published" in source
    marked = [line for line in source.splitlines() if "dashed" in line]
    assert marked and all('"0 n' in line for line in marked), "only the first differs from the original"
