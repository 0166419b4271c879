import torch


def misleading_beta():
    beta = torch.zeros(9, 3)
    beta[0] = torch.tensor([0.0, 0.1, 0.0])  # the first step prefers the same width by a little,
    beta[2] = torch.tensor([0.0, 9.0, 0.0])  # but only the wider way goes on with certainty
    beta[4] = torch.tensor([0.0, 9.0, 0.0])
    beta[7] = torch.tensor([0.0, 9.0, 0.0])
    return beta
