"""The second-order gradient of an architecture: how alpha acts on the loss directly and through the weights."""


def architecture_gradient(loss_w, loss_a, w, alpha, xi):
    """The gradient, of alpha's shape, with respect to alpha of loss_a(w', alpha), where w' = w - xi * (the gradient of
    loss_w(w, alpha) with respect to w).

    loss_w, loss_a: functions of (w, alpha) that return a number, as a tensor. w, alpha: tensors that require a
    gradient; they stay as they are. xi: a number, the learning rate of the weights.
    """
    raise NotImplementedError("write the second-order gradient here")
