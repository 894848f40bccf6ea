"""Networks without the random values that they begin with, for those that are loaded next or never run.

Drawing them takes one CPU-second for a ViT-B and four for a ViT-L, and 80 % of building either on the meta
device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWS = {
    *(Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_),
    *(Tensor.erfinv_, Tensor.clamp_),  # of `trunc_normal_`; constructors use them for nothing else
}
"""Functions that draw and that torch hands to a mode; its other initialisers call these."""


class SkipDraws(TorchFunctionMode):
    """Context in which random values are not drawn: tensors that would be filled with them stay undefined.

    Constants, such as the scales of norms and tables of positions, are set as always.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the tensor as it is for a draw, and the function's result for anything else."""
        kwargs = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
