"""How many weights a supernet has."""


def supernet_weights(layers, nodes, width, channels):
    """The number of weights of `Supernet(layers, nodes, width, channels)`, without alpha and beta, by arithmetic.

    Build no network. Hints: an edge has a convolution (9 C^2), a separable one (twice 9 C + C^2), a dilated one
    (9 C^2) and a deformable one (9 C^2 + C, and 486 C + 54 for offsets and masks). A cell's output has nodes * C
    channels. The 1x1 convolutions before a cell and both convolutions of the stem have no bias, the last one has.
    """
    raise NotImplementedError("count here")
