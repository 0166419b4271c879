"""How little it takes to collapse."""


def nearly_untouched(number_of_edges, operations):
    """Raw alpha, a tensor (number_of_edges, len(operations)), no entry above 0.01 in size, that decodes to a cell of
    nothing but skip connections.

    operations: the names of the columns.
    """
    raise NotImplementedError("make alpha here")
