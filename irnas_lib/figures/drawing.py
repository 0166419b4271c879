"""Architectures as graphs, drawn from the very objects that search, decode and train (Figures 1, 2 and 6).

Every `draw_...` returns a Drawing: a Graphviz graph that a notebook shows and that `render` writes as SVG or PNG.
Colour never says anything alone: line styles, weights and labels say it too.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from html import escape
from importlib.util import find_spec
from pathlib import Path

import graphviz
import matplotlib
from torch import nn

from irnas_lib.files import atomically
from irnas_lib.genotypes import Genotype
from irnas_lib.network import RestorationNetwork
from irnas_lib.search_space import LEVELS, OPERATIONS, edges, levels, states
from irnas_lib.supercell import PlainSupercell, Supercell
from irnas_lib.supernet import Supernet

# Wong, "Points of view: color blindness", Nature Methods 8, 2011; the order is that of OPERATIONS.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#555555", "#CC79A7")
INPUT, CELL, OTHER, FAINT = "#E8E8E8", "#D6E6F4", "#FFFFFF", "#888888"
SECOND = "#444444"  # second inputs, dotted
CHANGED = {"color": "#C00000", "fontcolor": "#C00000", "penwidth": "2.2", "style": "dashed"}
SMALL = {"fontsize": "10", "height": "0.22", "width": "0.4", "margin": "0.05,0.02"}
FONT = "DejaVu Sans"  # comes with matplotlib
PYGRAPHVIZ = ("import sys, pygraphviz; graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode('utf-8')); "
              "sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog=sys.argv[2]))")
BARE_DEBIAN = "libglib2.0-0, libxext6 and libxrender1"  # what pygraphviz's wheel needs and a bare system lacks
NOTATION = "In a cell: channels of a node | of its output. Elsewhere: channels out. Dotted: a cell's second input."
ABOVE, BELOW = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"), str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
PNG_DPI = 200  # dots an inch
COLUMN, ROW = 1.0, 0.95  # inches between the layers and levels of a trellis


class DrawingError(ValueError):
    """A drawing that cannot be made; the message is one line."""


class Drawing(graphviz.Digraph):
    """A graph that notebooks show, with or without an installed `dot`; as PNG, since JupyterLab shows no SVG of a page
    that the reader has not run."""

    def _repr_mimebundle_(self, include=None, exclude=None, **_):
        png = _graphviz(self, "png")
        width = int.from_bytes(png[16:20], "big") * 96 / PNG_DPI  # in a browser's pixels
        return {"image/png": base64.b64encode(png).decode()}, {"image/png": {"width": round(width)}}


def _page(engine: str = "dot", **attributes: str) -> Drawing:
    return Drawing(engine=engine, graph_attr={"fontname": FONT, "fontsize": "11", "pad": "0.08"} | attributes,
                   node_attr={"fontname": FONT, "fontsize": "11", "shape": "box", "style": "filled",
                              "fillcolor": OTHER, "height": "0.32", "width": "0.5", "margin": "0.08,0.04"},
                   edge_attr={"fontname": FONT, "fontsize": "10", "arrowsize": "0.6"})


# ---- rendering ----

def svg(drawing: Drawing) -> str:
    """The drawing as SVG text, without XML declaration, versions or dates."""
    text = _graphviz(drawing, "svg").decode("utf-8")
    return re.sub(r"<!--.*?-->\n?", "", text[text.index("<svg"):], flags=re.DOTALL)


def render(drawing: Drawing, path: str | Path) -> Path:
    """Writes a drawing, whole or not at all, as its suffix says: .svg or .png (PNG_DPI dots an inch).

    The same drawing gives the same bytes. Raises DrawingError for another suffix or where Graphviz fails.
    """
    path = Path(path)
    if path.suffix not in (".svg", ".png"):
        raise DrawingError(f"{path}: drawings are .svg or .png")
    content = svg(drawing).encode("utf-8") if path.suffix == ".svg" else _graphviz(drawing, "png")
    with atomically(path) as partial:
        partial.write_bytes(content)
    return path


def _graphviz(drawing: Drawing, form: str) -> bytes:
    """Runs Graphviz in a process of its own, where it sees matplotlib's fonts and no other: labels have the same
    size on every machine. The libraries inside pygraphviz serve first, being the same for everybody; an installed
    Graphviz serves where they do not load."""
    dpi = 72 if form == "svg" else PNG_DPI
    source = drawing.source.replace("{", f"{{ dpi={dpi};", 1)
    ways = [[sys.executable, "-c", PYGRAPHVIZ, form, drawing.engine]] if find_spec("pygraphviz") else []
    if shutil.which("dot"):
        ways.append(["dot", f"-T{form}", f"-K{drawing.engine}"])
    failed = "drawing needs pygraphviz or an installed Graphviz"
    with tempfile.TemporaryDirectory() as folder:
        fonts = Path(folder) / "fonts.conf"
        fonts.write_text(f"<fontconfig><dir>{escape(matplotlib.get_data_path())}/fonts/ttf</dir>"
                         f"<cachedir>{folder}</cachedir></fontconfig>")
        for command in ways:
            done = subprocess.run(command, input=source.encode("utf-8"), capture_output=True,
                                  env=os.environ | {"FONTCONFIG_FILE": str(fonts)})
            if done.returncode == 0 and done.stdout:
                return done.stdout
            errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
            failed = f"Graphviz failed: {errors[-1] if errors else f'exit status {done.returncode}'}"
            if "shared object file" in failed:
                failed += f" (Debian has it in {BARE_DEBIAN}; its graphviz would do as well)"
    raise DrawingError(failed)


# ---- cells ----

def draw_supercell(supercell: Supercell | PlainSupercell) -> Drawing:
    """Figure 1, left: every edge carries all operations, which the first one shows; the others are grey. Best with
    the three nodes of the paper's picture."""
    drawing = _cell_page()
    _add_supercell(drawing, supercell)
    return drawing


def draw_cell(genotype: Genotype, changed: Collection[tuple[str, int]] = ()) -> Drawing:
    """Figure 1, right, and Figure 6 (b) to (d): a compact cell, each node with its two inputs.

    changed: (node, 0 or 1) of the edges to mark, as `changes` finds them: red, bold and dashed, nodes as well.
    """
    drawing = _cell_page()
    _add_cell(drawing, Genotype(genotype), changed)
    return drawing


def draw_cells(genotypes: Mapping[str, Genotype], original: Genotype) -> Drawing:
    """Cells with their names beside each other; edges that the same node of `original` does not have are marked."""
    drawing = _cell_page()
    for i, (name, genotype) in enumerate(genotypes.items()):
        with drawing.subgraph(name=f"cluster_{i}", graph_attr={"label": name, "color": "white"}) as cell:
            _add_cell(cell, Genotype(genotype), changes(Genotype(genotype), original), f"{i} ")
    return drawing


def draw_cell_search(supercell: Supercell | PlainSupercell, genotype: Genotype) -> Drawing:
    """Figure 1: a supercell and, beside it, a compact cell that was decoded from one."""
    drawing = _cell_page()
    drawing.attr(label="Left: a supercell. Right: a compact cell decoded from one.")
    _add_supercell(drawing, supercell, "a")
    _add_cell(drawing, genotype, (), "b")
    return drawing


def changes(genotype: Genotype, original: Genotype) -> set[tuple[str, int]]:
    """(node, 0 or 1) of the edges of `genotype` that the same node of `original` does not have."""
    found = set()
    for i, node in enumerate(genotype, 1):
        left = Counter(original[i - 1]) if i <= len(original) else Counter()
        for position, edge in enumerate(node):
            if left[edge] == 0:
                found.add((f"n{i}", position))
            left[edge] -= 1
    return found


def _cell_page() -> Drawing:
    return _page(rankdir="TB", nodesep="0.3", ranksep="0.28")


def _add_states(graph: graphviz.Digraph, nodes: int, prefix: str, changed: Collection[str] = ()) -> None:
    """The states of a cell, and its output, which concatenates all nodes (Eq. 3)."""
    with graph.subgraph(graph_attr={"rank": "same"}) as top:
        for state, source in (("p2", "hₗ₋₂"), ("p1", "hₗ₋₁")):
            top.node(prefix + state, f"{state}: {source}", fillcolor=INPUT)
        top.edge(prefix + "p2", prefix + "p1", style="invis")
    for state in states(nodes)[2:]:
        marks = CHANGED if state in changed else {}
        graph.node(prefix + state, state, fillcolor=CELL, **({"shape": "ellipse"} | marks))
        graph.edge(prefix + state, prefix + "out", color=FAINT, arrowsize="0.4", penwidth="0.7")
    graph.node(prefix + "out", "concatenate: hₗ", fillcolor=INPUT)


def _add_supercell(graph: graphviz.Digraph, supercell: Supercell | PlainSupercell, prefix: str = "") -> None:
    _add_states(graph, supercell.nodes, prefix)
    shown, *others = edges(supercell.nodes)  # all six on every edge would run together
    for source, node in others:
        graph.edge(prefix + source, prefix + node, color=FAINT, penwidth="2.5", arrowsize="0.5", minlen="2")
    for colour in COLOURS:
        graph.edge(prefix + shown[0], prefix + shown[1], color=colour, penwidth="1.8", arrowsize="0.4", minlen="2")
    rows = "".join(f'<TR><TD BGCOLOR="{colour}" WIDTH="24" CELLPADDING="0"><FONT POINT-SIZE="4"> </FONT></TD>'
                   f'<TD ALIGN="LEFT">{name}</TD></TR>' for name, colour in zip(OPERATIONS, COLOURS))
    graph.node(prefix + "legend", f'<<TABLE BORDER="0" CELLSPACING="2"><TR><TD COLSPAN="2" ALIGN="LEFT">all '
               f'{len(edges(supercell.nodes))} edges carry six operations;<BR ALIGN="LEFT"/>drawn on {shown[0]} → '
               f'{shown[1]} alone, in this order:<BR ALIGN="LEFT"/></TD></TR>{rows}</TABLE>>',
               shape="plaintext", style="")


def _add_cell(graph: graphviz.Digraph, genotype: Genotype, changed: Collection[tuple[str, int]],
              prefix: str = "") -> None:
    _add_states(graph, len(genotype), prefix, {node for node, _ in changed})
    for i, node in enumerate(genotype, 1):
        for position, edge in enumerate(node):
            name = f"{prefix}n{i}{position}"
            marks = CHANGED if (f"n{i}", position) in changed else {}
            graph.node(name, edge.operation, **(SMALL | marks))
            graph.edge(prefix + edge.source, name, arrowhead="none", **marks)
            graph.edge(name, f"{prefix}n{i}", **marks)


# ---- networks ----

def draw_supernet(supernet: Supernet) -> Drawing:
    """Figure 2, left: start part, every layer's supercells with the transitions into them, end part.

    A box is a supercell: channels of each node, then of its output. Dotted: the second inputs, h_{l-2}. The page that
    shows it says so.
    """
    drawing = _trellis_page()
    _add_supernet(drawing, supernet)
    return drawing


def draw_network(network: RestorationNetwork) -> Drawing:
    """Figure 2, right, and Figure 6 (a): the path of widths among those not taken, ASPP and decoder."""
    drawing = _trellis_page()
    _add_network(drawing, network)
    return drawing


def draw_width_search(supernet: Supernet, network: RestorationNetwork) -> Drawing:
    """Figure 2: a supernet and, below it, a final network."""
    drawing = _trellis_page(f"Above: the supernet. Below: a final network, one path of widths.\n{NOTATION}")
    _add_supernet(drawing, supernet, "a")
    _add_network(drawing, network, "b", top=-(LEVELS + 0.8))
    return drawing


def _trellis_page(label: str = "") -> Drawing:
    page = _page("neato", splines="true", outputorder="edgesfirst", label=label, fontsize="12")
    page.attr("node", fontsize="13", margin="0.06,0.04")  # the wide pages are shrunk to the width of a column
    return page


def _place(graph: graphviz.Digraph, name: str, label: str, layer: float, level: float, **attributes: str) -> str:
    """Adds a node at a layer (to the right) and a level (downwards); returns its name."""
    graph.node(name, label, pos=f"{layer * COLUMN:g},{-level * ROW:g}!", **attributes)
    return name


def _add_supernet(graph: graphviz.Digraph, supernet: Supernet, prefix: str = "") -> None:
    stem, start = supernet.stem[0], supernet.widen[0]
    picture = _place(graph, f"{prefix}in", f"picture\n{stem.in_channels}", -1.65, 0, fillcolor=INPUT)
    before = [_place(graph, f"{prefix}stem", f"3×3\n{stem.out_channels}", -0.8, 0)]
    last = [_place(graph, f"{prefix}0", f"3×3\n{start.out_channels}", 0, 0)]
    graph.edge(picture, before[0])
    graph.edge(before[0], last[0])
    for layer in supernet.layers:
        outputs = []
        for level in levels(layer.number):
            cells = [layer.cells[name] for name in layer.cell_names(level)]
            width = f"{cells[0].channels}" if len(cells) == 1 else f"{len(cells)} × {cells[0].channels}"
            outputs.append(_place(graph, f"{prefix}{layer.number}_{level}",
                                  f"C{str(layer.number).translate(BELOW)}{str(level).translate(ABOVE)}\n"
                                  f"{width} | {cells[0].nodes * cells[0].channels}", layer.number, level,
                                  fillcolor=CELL))
        for level in levels(layer.number):
            for source in layer.sources(level):
                graph.edge(last[source], outputs[level])
        for level in levels(layer.number):
            graph.edge(before[min(level, len(before) - 1)], outputs[level], style="dotted", color=SECOND,
                       arrowsize="0.4")
        before, last = last, outputs
    end, middle = len(supernet.layers) + 1, (len(last) - 1) / 2
    joined = _place(graph, f"{prefix}concat", f"join\n{supernet.head.in_channels}", end, middle)
    head = _place(graph, f"{prefix}head", "3×3", end + 0.75, middle)
    out = _place(graph, f"{prefix}out", f"picture\n{supernet.head.out_channels}", end + 1.55, middle, fillcolor=INPUT)
    for output in last:
        graph.edge(output, joined)
    graph.edge(joined, head)
    graph.edge(head, out)


def _add_network(graph: graphviz.Digraph, network: RestorationNetwork, prefix: str = "", top: float = 0.0) -> None:
    def place(name, label, layer, level, **attributes):
        return _place(graph, prefix + name, label, layer, level - top, **attributes)

    def channels(module):
        return [part for part in module.modules() if isinstance(part, nn.Conv2d)][-1].out_channels

    picture = place("in", f"picture\n{network.channels}", -1.65, 0, fillcolor=INPUT)
    before = place("stem", f"3×3\n{channels(network.stem)}", -0.8, 0)
    last = place("0", f"3×3\n{channels(network.stem2)}", 0, 0)
    detail = None if 0 in network.path else last
    graph.edge(picture, before)
    graph.edge(before, last)
    for layer, taken in enumerate(network.path, 1):
        for level in levels(layer):
            if level != taken:
                place(f"{layer}_{level}", "", layer, level, style="dashed", color=FAINT)
        width = network.width * 2 ** taken
        cell = place(f"{layer}_{taken}", f"cell {layer}\n{width} | {width * len(network.genotype)}", layer, taken,
                     fillcolor=CELL, penwidth="2")
        graph.edge(last, cell, penwidth="2")
        graph.edge(before, cell, style="dotted", color=SECOND, arrowsize="0.4")
        before, last = last, cell
        detail = cell if taken == 0 else detail
    end, level = len(network.path) + 1, network.path[-1]
    aspp = place("aspp", f"ASPP\n{channels(network.aspp)}", end, level)
    low = place("low", f"{'1×1' if 0 in network.path else '3×3, 1×1'}\n{channels(network.low_level)}", end, -0.8)
    decoder = place("decoder", f"decoder\n{channels(network.decoder[:-1])}", end + 1, level)
    out = place("out", f"picture\n{channels(network.decoder)}", end + 2, level, fillcolor=INPUT)
    graph.edge(last, aspp, penwidth="2")
    graph.edge(detail, low)
    graph.edge(low, decoder)
    graph.edge(aspp, decoder, penwidth="2")
    graph.edge(decoder, out, penwidth="2")
    if network.global_residual:
        graph.edge(picture, out, label=" + ", style="dashed")
