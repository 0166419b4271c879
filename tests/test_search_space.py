"""The search space, counted again by other means."""

import pytest
import torch

from irnas_lib import search_space


def test_states_and_edges_stand_in_the_order_of_alphas_rows():
    assert search_space.states(2) == ["p2", "p1", "n1", "n2"]
    assert search_space.edges(2) == [("p2", "n1"), ("p1", "n1"), ("p2", "n2"), ("p1", "n2"), ("n1", "n2")]


@pytest.mark.parametrize("nodes", range(1, 9))
def test_node_n_takes_an_edge_from_each_earlier_state(nodes):
    edges = search_space.edges(nodes)
    assert len(edges) == len(set(edges)) == sum(range(2, nodes + 2))
    assert search_space.nodes_for(len(edges)) == nodes


@pytest.mark.parametrize("count", (0, 1, 3, 19, 21))
def test_numbers_of_edges_that_no_cell_has_are_refused(count):
    with pytest.raises(ValueError, match=f"no cell has {count} edges"):
        search_space.nodes_for(count)


def test_rows_of_beta_are_the_cells_that_feed_another_one():
    assert [len(search_space.levels(layer)) for layer in range(5)] == [1, 2, 3, 3, 3]
    assert search_space.source_rows(4) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    for layers in range(1, 7):
        assert search_space.layers_for(len(search_space.source_rows(layers))) == layers
    with pytest.raises(ValueError, match="no supernet has 4 rows"):
        search_space.layers_for(4)


def test_untouched_betas_split_equally_over_the_moves_that_exist():
    probabilities = search_space.move_log_probabilities(torch.zeros(9, 3)).exp()
    ends = {0: [0, 1 / 2, 1 / 2], 1: [1 / 3, 1 / 3, 1 / 3], 2: [1 / 2, 1 / 2, 0]}
    expected = torch.tensor([ends[level] for _, level in search_space.source_rows(4)])
    torch.testing.assert_close(probabilities, expected)


def test_every_row_of_beta_is_a_distribution_and_ignores_moves_that_do_not_exist():
    beta = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probabilities = search_space.move_log_probabilities(beta).exp()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(12, dtype=torch.float64))
    other = torch.where(probabilities == 0, 100.0, beta)
    torch.testing.assert_close(search_space.move_log_probabilities(other).exp(), probabilities)
    assert (probabilities == 0).sum() == 5 + 3  # below five rows of level 0, above three of level 2
