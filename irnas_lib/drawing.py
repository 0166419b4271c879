"""Architectures as graphs, drawn from the very objects that search, decode and train (Figures 1, 2 and 6).

Every `draw_...` returns a Drawing: a Graphviz graph that a notebook shows and that `render` writes as SVG or PNG.
Colour never says anything alone: line styles, weights and labels say it too.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import graphviz
import matplotlib

from irnas_lib.files import atomically
from irnas_lib.genotypes import Genotype
from irnas_lib.network import RestorationNetwork
from irnas_lib.search_space import LEVELS, OPERATIONS, edges, levels, states
from irnas_lib.supercell import PlainSupercell, Supercell
from irnas_lib.supernet import Supernet

# Wong, "Points of view: color blindness", Nature Methods 8, 2011; the order is that of OPERATIONS.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#555555", "#CC79A7")
INPUT, CELL, OTHER, CHANGED, FAINT = "#E8E8E8", "#D6E6F4", "#FFFFFF", "#C00000", "#888888"
FONT = "DejaVu Sans"  # comes with matplotlib
COLUMN, ROW = 1.35, 1.0  # inches between the layers and levels of a trellis


class DrawingError(ValueError):
    """A drawing that cannot be made; the message is one line."""


class Drawing(graphviz.Digraph):
    """A graph that notebooks show as SVG, with or without an installed `dot`."""

    def __init__(self, engine: str = "dot", **attributes: str):
        super().__init__(engine=engine, graph_attr={"fontname": FONT, "fontsize": "11", "pad": "0.08"} | attributes,
                         node_attr={"fontname": FONT, "fontsize": "11", "shape": "box", "style": "filled",
                                    "fillcolor": OTHER, "height": "0.32", "width": "0.5", "margin": "0.08,0.04"},
                         edge_attr={"fontname": FONT, "fontsize": "10", "arrowsize": "0.6"})

    def _repr_mimebundle_(self, include=None, exclude=None, **_):
        return {"image/svg+xml": svg(self)}


# ---- rendering ----

def svg(drawing: Drawing) -> str:
    """The drawing as SVG text, without XML declaration, versions or dates."""
    text = _graphviz(drawing, "svg").decode("utf-8")
    return re.sub(r"<!--.*?-->\n?", "", text[text.index("<svg"):], flags=re.DOTALL)


def render(drawing: Drawing, path: str | Path) -> Path:
    """Writes a drawing, whole or not at all, as its suffix says: .svg or .png (200 dots an inch).

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
    """Runs Graphviz: the libraries inside pygraphviz, the same for everybody; failing them an installed `dot`."""
    dpi = "72" if form == "svg" else "200"
    source = drawing.source.replace("{", f"{{ dpi={dpi};", 1)
    try:
        with _fonts():
            try:
                import pygraphviz
            except ImportError:
                if shutil.which("dot") is None:
                    raise DrawingError("drawing needs pygraphviz or Graphviz's dot") from None
                return subprocess.run(["dot", f"-K{drawing.engine}", f"-T{form}"], input=source.encode("utf-8"),
                                      capture_output=True, check=True).stdout
            return pygraphviz.AGraph(string=source).draw(format=form, prog=drawing.engine)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise DrawingError(f"Graphviz failed: {' '.join(str(error).split())}") from error


@contextmanager
def _fonts() -> Iterator[None]:
    """Lets Graphviz find matplotlib's fonts and no other, so that labels have the same size on every machine."""
    before = os.environ.get("FONTCONFIG_FILE")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "fonts.conf"
        config.write_text(f"<fontconfig><dir>{matplotlib.get_data_path()}/fonts/ttf</dir>"
                          f"<cachedir>{folder}</cachedir></fontconfig>")
        os.environ["FONTCONFIG_FILE"] = str(config)
        try:
            yield
        finally:
            if before is None:
                del os.environ["FONTCONFIG_FILE"]
            else:
                os.environ["FONTCONFIG_FILE"] = before


# ---- cells ----

def draw_supercell(supercell: Supercell | PlainSupercell) -> Drawing:
    """Figure 1, left: every edge carries all operations. Best with the three nodes of the paper's picture."""
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


def draw_cell_search(supercell: Supercell | PlainSupercell, genotype: Genotype) -> Drawing:
    """Figure 1: a supercell and, beside it, a compact cell that was decoded from one."""
    drawing = _cell_page()
    with drawing.subgraph(name="cluster_left", graph_attr={"label": "supercell", "color": "none"}) as left:
        _add_supercell(left, supercell, "a")
    with drawing.subgraph(name="cluster_right", graph_attr={"label": "compact cell", "color": "none"}) as right:
        _add_cell(right, genotype, (), "b")
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
    return Drawing(rankdir="TB", nodesep="0.45", ranksep="0.5")


def _add_states(graph: graphviz.Digraph, nodes: int, prefix: str, changed: Collection[str] = ()) -> None:
    """The states of a cell, and its output, which concatenates all nodes (Eq. 3)."""
    with graph.subgraph(graph_attr={"rank": "same"}) as top:
        for state, source in (("p2", "l−2"), ("p1", "l−1")):
            top.node(prefix + state, f"<{state}: h<SUB>{source}</SUB>>", fillcolor=INPUT)
    graph.edge(prefix + "p2", prefix + "p1", style="invis")
    for state in states(nodes)[2:]:
        marks = {"color": CHANGED, "penwidth": "2.2", "style": "filled,dashed"} if state in changed else {}
        graph.node(prefix + state, state, fillcolor=CELL, **({"shape": "ellipse"} | marks))
        graph.edge(prefix + state, prefix + "out", color=FAINT, arrowsize="0.4", penwidth="0.7")
    graph.node(prefix + "out", "<concatenate: h<SUB>l</SUB>>", fillcolor=INPUT)


def _add_supercell(graph: graphviz.Digraph, supercell: Supercell | PlainSupercell, prefix: str = "") -> None:
    _add_states(graph, supercell.nodes, prefix)
    for source, node in edges(supercell.nodes):
        graph.edge(prefix + source, prefix + node, color=":".join(COLOURS), penwidth="1.1")
    rows = "".join(f'<TR><TD BGCOLOR="{colour}" WIDTH="22" HEIGHT="3" FIXEDSIZE="TRUE"></TD>'
                   f'<TD ALIGN="LEFT">{name}</TD></TR>' for name, colour in zip(OPERATIONS, COLOURS))
    count = len(edges(supercell.nodes))
    graph.node(prefix + "legend", f'<<TABLE BORDER="0" CELLSPACING="2"><TR><TD COLSPAN="2" ALIGN="LEFT">'
               f'each of the {count} edges</TD></TR>{rows}</TABLE>>', shape="plaintext", fillcolor="none")


def _add_cell(graph: graphviz.Digraph, genotype: Genotype, changed: Collection[tuple[str, int]],
              prefix: str = "") -> None:
    _add_states(graph, len(genotype), prefix, {node for node, _ in changed})
    for i, node in enumerate(genotype, 1):
        for position, edge in enumerate(node):
            marks = {"color": CHANGED, "fontcolor": CHANGED, "style": "dashed", "penwidth": "2.2",
                     "label": f"<<B> {edge.operation} </B>>"} if (f"n{i}", position) in changed else {}
            colour = COLOURS[OPERATIONS.index(edge.operation)]
            graph.edge(prefix + edge.source, f"{prefix}n{i}",
                       **({"label": f" {edge.operation} ", "color": colour, "penwidth": "1.5"} | marks))
