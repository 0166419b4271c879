"""Eq. 2: an edge as a mixture of all operations."""


def mixed_edge(x, logits, operations):
    """The sum of all operations on x, each weighted by the softmax of its logit.

    x: a tensor; logits: raw alpha of this edge, one number for each operation; operations: functions of x.
    """
    raise NotImplementedError("write Eq. 2 here")
