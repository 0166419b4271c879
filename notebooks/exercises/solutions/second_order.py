import torch


def architecture_gradient(loss_w, loss_a, w, alpha, xi):
    slope, = torch.autograd.grad(loss_w(w, alpha), w, create_graph=True)  # stays a function of alpha
    return torch.autograd.grad(loss_a(w - xi * slope, alpha), alpha)[0]
