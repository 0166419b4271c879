"""One training over several processes: torch's DDP, each process with its part of every batch. Without torchrun all of
this does nothing."""

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def rank() -> int:
    """This process's number; 0 for the only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def name(device: str) -> str:
    """What all of them train on, each on a `device`: such as "4 x NVIDIA H100"."""
    return device if size() == 1 else f"{size()} x {device}"


def part(batch: torch.Tensor) -> torch.Tensor:
    """This process's share of a batch. Raises ValueError where the shares would not be equal."""
    if size() == 1:
        return batch
    if len(batch) % size():
        raise ValueError(f"a batch of {len(batch)} cannot be shared by {size()} processes")
    return batch.chunk(size())[rank()]


def mean(x: torch.Tensor) -> torch.Tensor:
    """The mean over all processes, in place."""
    if distributed.is_initialized():
        distributed.all_reduce(x)
        x /= size()
    return x


def shared(objective: nn.Module) -> nn.Module:
    """The module whose gradients are the mean over all processes and whose batch norms see the whole batch."""
    if not distributed.is_initialized():
        return objective
    if next(objective.parameters()).device.type == "cuda":
        objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
    else:
        for module in objective.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SyncedBatchNorm
    # The paper's network registers a layer that it never calls: DDP must not wait for its gradient.
    return DistributedDataParallel(objective, find_unused_parameters=True)


class Mean(torch.autograd.Function):
    """`mean` with a gradient: what each process's value does to the losses of all of them."""

    @staticmethod
    def forward(context, x):
        return mean(x.clone())

    @staticmethod
    def backward(context, gradient):
        return mean(gradient.clone())


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, which torch's own does on GPUs only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        average = Mean.apply(x.mean(dim=(0, 2, 3)))
        centred = x - average[:, None, None]
        variance = Mean.apply(centred.square().mean(dim=(0, 2, 3)))
        with torch.no_grad():
            count = x.numel() // x.shape[1] * size()
            self.running_mean.lerp_(average, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        y = centred * (variance + self.eps).rsqrt()[:, None, None]
        return y if self.weight is None else y * self.weight[:, None, None] + self.bias[:, None, None]
