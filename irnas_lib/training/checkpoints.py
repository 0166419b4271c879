"""Weights as safetensors with a hash, and the exact state of a run that may have to go on later."""

import hashlib
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import nn

from irnas_lib.files import CheckpointError, atomically, sha256


def save_weights(path: Path, network: nn.Module) -> str:
    """Writes the network's weights and batch-norm statistics, whole or not at all; returns the file's SHA-256."""
    with atomically(path) as partial:
        save_file(_tensors(network), partial)
    return sha256(path)


def digest(network: nn.Module) -> str:
    """The SHA-256 that `save_weights` would return."""
    return hashlib.sha256(save(_tensors(network))).hexdigest()


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}


def load_weights(path: Path, network: nn.Module, expected_sha256: str | None = None) -> None:
    """Reads weights into a network of the same shape.

    Raises CheckpointError where the file is missing, no safetensors file, not the one of the expected hash, holds
    what is no number, or has other names, shapes or types than the network (16 bits may stand for 32).
    """
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    if expected_sha256 and sha256(path) != expected_sha256:
        raise CheckpointError(f"{path}: damaged or replaced: its SHA-256 is not {expected_sha256}")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    wanted = network.state_dict()
    if tensors.keys() != wanted.keys():
        strange = sorted(tensors.keys() ^ wanted.keys())
        raise CheckpointError(f"{path}: made for another network ({len(strange)} names differ, e.g. {strange[0]})")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(f"{path}: made for another network ({name} is {tuple(tensor.shape)}, "
                                  f"not {tuple(wanted[name].shape)})")
        halved = tensor.dtype == torch.float16 and wanted[name].is_floating_point()
        if tensor.dtype != wanted[name].dtype and not halved:
            raise CheckpointError(f"{path}: made for another network ({name} is {tensor.dtype})")
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds what is no number")
    network.load_state_dict(tensors)


def save_state(path: Path, state: dict) -> None:
    """Writes everything a run needs to go on exactly; the previous state stays until this one is whole."""
    with atomically(path) as partial:
        torch.save(state, partial)


def load_state(path: Path, key: dict | None = None) -> dict | None:
    """The state that a run with the same `key` (its parameters) left, or None where there is none.

    Without a key any state serves. Raises CheckpointError for a damaged file, and for a state of other parameters,
    which the run would overwrite.
    """
    if not Path(path).is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: damaged; delete it to start again ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds no state of a run; delete it to start again")
    if key is not None and state.get("key") != key:
        raise CheckpointError(f"{path}: is of a run with other parameters; finish that one, or delete the file")
    return state
