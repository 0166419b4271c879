"""Where the greedy shortcut fails."""


def misleading_beta():
    """Raw beta of four layers, a tensor (9, 3), for which the path that takes the likeliest move at every layer is not
    even half as probable as the best path.

    Rows are source cells: the stem, layer 1's levels 0 and 1, layer 2's levels 0, 1 and 2, layer 3's; columns are the
    moves narrower, same, wider.
    """
    raise NotImplementedError("make beta here")
