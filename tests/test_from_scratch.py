"""Page 1b: its cell against one of modules, its decoding against the library's, its search on the planted task."""

import ast
import re

import jupytext
import nbformat
import pytest
import torch
from torch import nn

from irnas_lib import decode, search_space
from irnas_lib.files import ROOT

PAGE = ROOT / "notebooks" / "01b_search_from_scratch.py"


@pytest.fixture
def page():
    """The page's imports, functions and plain constants; nothing is searched or drawn."""
    names = {"seeds": 2}
    for cell in jupytext.read(PAGE).cells:
        if cell.cell_type == "code" and cell.source.strip():
            kept = [node for node in ast.parse(cell.source).body if defines(node)]
            exec(compile(ast.Module(kept, []), PAGE.name, "exec"), names)
    return names


def defines(node):
    if isinstance(node, ast.Assign):
        target = ast.unparse(node.targets[0])
        return target == "cells" or target.strip("()").split(",")[0].isupper()
    return (isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
            and "exercises" not in ast.unparse(node))


def test_the_cell_is_the_sum_of_weighted_modules(page):
    generator = torch.Generator().manual_seed(0)
    x, kernels = torch.randn(6, 8, 32, generator=generator), page["random_kernels"](generator, 5, 2)
    alpha = torch.randn(5, 4, generator=generator)

    def edge(x, number):
        outputs = []
        for kernel, dilation in zip(kernels[number], (1, 2)):
            layer = nn.Conv1d(4, 4, 3, padding="same", dilation=dilation, bias=False)
            layer.weight.data = kernel
            outputs.append(nn.Sequential(nn.ReLU(), layer, nn.BatchNorm1d(4, affine=False))(x))
        powers = alpha[number].exp()
        return sum(power * y for power, y in zip(powers, [*outputs, x, 0 * x])) / powers.sum()

    p2, p1 = x[:, :4], x[:, 4:]
    n1 = edge(p2, 0) + edge(p1, 1)
    n2 = edge(p2, 2) + edge(p1, 3) + edge(n1, 4)
    torch.testing.assert_close(page["cell"](x, kernels, alpha), torch.cat([n1, n2], 1))


def test_searches_side_by_side_are_those_one_by_one(page):
    page["seeds"] = 1
    _, alone, _ = page["search"](warmup=10, steps=10)
    page["seeds"] = 3
    _, together, _ = page["search"](warmup=10, steps=10)
    torch.testing.assert_close(alone[0], together[0], atol=1e-4, rtol=0)


def test_a_warm_up_leaves_alpha_alone_and_a_decided_alpha_stays(page):
    assert not page["search"](warmup=20, steps=0)[1].any()
    planted = torch.stack([page["decided"](page["PLANTED"])] * 2)
    _, alpha, history = page["search"](warmup=100, steps=0, alpha=planted)
    assert page["found"](alpha) == 2
    assert history["V"][-1].max() < 0.1 < history["V"][0].min()


def test_it_decodes_as_the_library_does(page):
    assert list(page["EDGES"]) == search_space.edges(2)
    columns = [search_space.OPERATIONS.index(name) for name in page["OPERATIONS"]]
    for seed in range(20):
        alpha = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))
        wide = torch.full((5, len(search_space.OPERATIONS)), -torch.inf)
        wide[:, columns] = alpha
        kept = {(edge.source, f"n{i}"): edge.operation
                for i, node in enumerate(decode.derive_cell(wide), 1) for edge in node}
        assert page["decode"](alpha) == tuple(kept.get(edge, "none") for edge in page["EDGES"])


def test_the_planted_cell_is_found_with_a_warm_up(page):
    assert page["found"](page["search"]()[1]) == 2


def test_the_executed_page_has_found_it_in_nine_of_ten_and_not_without_a_warm_up():
    cells = nbformat.read(PAGE.with_suffix(".ipynb"), as_version=4).cells
    text = "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))
    (warm, seconds), = re.findall(r"planted cell is found in (\d+) of 10 searches; all took (\d+) s", text)
    cold, = re.findall(r"without a warm-up the planted cell is found in (\d+) of 10", text)
    assert int(warm) >= 9 and int(seconds) < 60
    assert int(cold) < 5
