"""Genotypes: the published ones against Figure 6, foreign ones refused in one line."""

import json

import pytest

from irnas_lib import genotypes
from irnas_lib.genotypes import Architecture, Genotype, GenotypeError

FIGURE_6 = {
    "DENOISING": "n1 = conv(p2) + conv(p1); n2 = dil(n1) + dil(p1); n3 = skip(p2) + def(n1);"
                 " n4 = def(n3) + def(p2); n5 = skip(n4) + skip(p1)",
    "DENOISING_R1": "n1 = def(p2) + def(p1); n2 = dil(n1) + dil(p1); n3 = skip(p2) + def(n1);"
                    " n4 = def(n3) + def(p2); n5 = skip(n4) + skip(p1)",
    "DENOISING_R2": "n1 = conv(p2) + conv(p1); n2 = dil(n1) + dil(p1); n3 = skip(p2) + def(n1);"
                    " n4 = def(n2) + def(p1); n5 = skip(n4) + skip(p1)",
    "DERAINING": "n1 = def(p1) + skip(p2); n2 = def(p2) + conv(p1); n3 = def(n1) + skip(p2); n4 = def(n1) + conv(p1)",
    "DERAINING_R1": "n1 = def(p1) + skip(p2); n2 = def(p2) + def(p1); n3 = def(n1) + skip(p2);"
                    " n4 = def(n1) + def(p1)",
    "DERAINING_R2": "n1 = def(p1) + skip(p2); n2 = def(p2) + conv(p1); n3 = def(n1) + skip(p2);"
                    " n4 = def(n3) + conv(p2)",
}
GOOD = [["conv", "p2"], ["conv", "p1"]]


@pytest.mark.parametrize("name", FIGURE_6)
def test_published_cells_are_those_of_figure_6(name):
    assert str(getattr(genotypes, name)) == FIGURE_6[name]


def test_json_is_a_plain_nested_list_and_comes_back_equal():
    text = json.dumps(genotypes.DENOISING)
    assert text.startswith('[[["conv", "p2"], ["conv", "p1"]], [["dil", "n1"], ["dil", "p1"]], ')
    assert Genotype(json.loads(text)) == genotypes.DENOISING


@pytest.mark.parametrize(("nodes", "message"), (
    ([], "one entry a node"),
    ("conv", "one entry a node"),
    (5, "one entry a node"),
    ([[["conv", "p2"]]], "n1 must have two edges"),
    ([GOOD, [*GOOD, ["skip", "n1"]]], "n2 must have two edges"),
    ([[["conv"], ["conv", "p1"]]], "must be .operation, source."),
    ([[["pool", "p2"], ["conv", "p1"]]], "unknown operation 'pool'"),
    ([[["none", "p2"], ["conv", "p1"]]], "unknown operation 'none'"),
    ([[["conv", "p3"], ["conv", "p1"]]], "unknown source 'p3'"),
    ([GOOD, [["conv", "n3"], ["conv", "p1"]]], "unknown source 'n3'"),
    ([[["conv", "n1"], ["conv", "p1"]]], "a cycle"),
    ([[["conv", "n2"], ["conv", "p1"]], GOOD], "a cycle"),
    ([[[["conv"], "p2"], ["conv", "p1"]]], "unknown operation"),
    ([[["conv", ["p2"]], ["conv", "p1"]]], "unknown source"),
))
def test_what_is_no_cell_is_refused_in_one_line(nodes, message):
    with pytest.raises(GenotypeError, match=message) as caught:
        Genotype(nodes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ((), (2,), (0, 2), (0, 3), (0, -1), (1, 2, 0), (0, 0.5), ("0",), (0, None)))
def test_paths_that_jump_or_leave_the_levels_are_refused(path):
    with pytest.raises(GenotypeError):
        genotypes.check_path(path)


def test_a_path_of_another_length_is_refused():
    assert genotypes.check_path([0, 0, 1], 3) == (0, 0, 1)
    with pytest.raises(GenotypeError, match="4 levels"):
        genotypes.check_path([0, 0, 1], 4)


def test_architecture_files_come_back_equal(tmp_path):
    file = tmp_path / "found.json"
    architecture = Architecture(genotypes.DERAINING, (0, 0, 1), 15)
    file.write_text(json.dumps(architecture._asdict()))
    assert genotypes.load_architecture(file) == architecture
    assert set(json.loads(file.read_text())) == {"genotype", "path", "width"}


@pytest.mark.parametrize("content", (
    "[]", "null", "5", "{}", '{"genotype": [], "path": [0], "width": 8}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0]}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0, 2], "width": 8}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": 0, "width": 8}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0], "width": 0}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0], "width": null}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0], "width": 8.5}',
    '{"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0], "width": 100000}',
    '{"genotype": [[["conv", "n1"], ["conv", "p1"]]], "path": [0], "width": 8}',
    json.dumps({"genotype": [[["conv", "p2"], ["conv", "p1"]]], "path": [0] * 33, "width": 8}),
    json.dumps({"genotype": [[["conv", "p2"], ["conv", "p1"]]] * 33, "path": [0], "width": 8}),
))
def test_damaged_architecture_files_are_refused_by_name(tmp_path, content):
    file = tmp_path / "found.json"
    file.write_text(content)
    with pytest.raises(GenotypeError, match="found.json: not an architecture file"):
        genotypes.load_architecture(file)


def test_a_missing_architecture_file_is_named(tmp_path):
    with pytest.raises(GenotypeError, match=r"nowhere.json: cannot be read \(No such file"):
        genotypes.load_architecture(tmp_path / "nowhere.json")


def test_the_changed_cells_lie_on_the_path_and_width_of_the_found_one():
    assert {key: of[1:] for key, of in genotypes.PUBLISHED.items()} == {
        (task, f"IR-NAS{change}"): (path, width) for change in ("", ", R1", ", R2")
        for task, path, width in (("denoising", (0, 0, 0, 1), 20), ("deraining", (0, 0, 1), 15))}


def test_a_node_that_takes_one_edge_twice_is_refused():
    with pytest.raises(GenotypeError, match="node n1 takes conv of p1 twice"):
        Genotype([[["conv", "p1"], ["conv", "p1"]]])
    Genotype([[["conv", "p1"], ["dil", "p1"]]])
