"""Layers from a PyTorch state dict, in the layout of `convert.network`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convert.network import Activation, Convolution, fold_batch_norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

StateDict = dict[str, "NDArray[Any]"]


def folded_convolution(
    state: StateDict, convolution: str, batch_norm: str, epsilon: float
) -> tuple[FloatArray, FloatArray]:
    """Kernel [out, in / groups, frequency, time] and bias, batch normalisation folded in.

    Raises:
        KeyError: the state dict lacks one of them.
    """
    names = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (state[f"{batch_norm}.{name}"] for name in names)
    kernel = np.moveaxis(state[f"{convolution}.weight"], 0, -1)
    folded, bias = fold_batch_norm(kernel, (gamma, beta, mean, variance), epsilon)
    return np.moveaxis(folded, -1, 0), bias


def torch_layout(
    kernel: FloatArray,
    bias: FloatArray,
    stride: int,
    activation: Activation,
    *,
    depthwise: bool = False,
) -> Convolution:
    """A convolution from PyTorch's layout, in which a depthwise kernel is [channels, 1, f, t]."""
    order = (3, 2, 0, 1) if depthwise else (3, 2, 1, 0)
    laid_out = np.ascontiguousarray(kernel.transpose(order))
    return Convolution(laid_out, bias, stride, activation, depthwise=depthwise)
