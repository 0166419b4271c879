"""The cells next to a cell."""


def neighbours(genotype):
    """Every Genotype that differs from `genotype` in the operation of one edge and in nothing else.

    Operations are search_space.OPERATIONS without the last, `none`. A node's edges may stand in either order.
    """
    raise NotImplementedError("list them here")
