"""Networks without the random values that they begin with, for those that are loaded next or never run.

Drawing them takes one CPU-second for a ViT-B and four for a ViT-L, and 80 % of building either on the meta
device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_SKIPPED = {nn.init.kaiming_uniform_, Tensor.erfinv_}  # the second: of timm's `trunc_normal_`


class SkipDraws(TorchFunctionMode):
    """Context in which no random value is drawn; what would be filled with them holds arbitrary numbers.

    Constants, such as the scales of norms and tables of positions, are set as always. A normal or uniform
    draw gives its mean: `torch.nn.init.trunc_normal_` draws again what lies outside its bounds, so on what
    the memory held before it would not end.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the tensor without a draw, and any other function's result."""
        kwargs = kwargs or {}
        if func in _SKIPPED:
            return args[0] if args else kwargs["tensor"]
        if func in _MEANS:
            return _MEANS[func](*args, **kwargs)
        return func(*args, **kwargs)


def _normal_mean(tensor: Tensor, mean: float = 0.0, std: float = 1.0, **_: Any) -> Tensor:
    del std
    return nn.init.constant_(tensor, mean)


def _uniform_mean(tensor: Tensor, a: float = 0.0, b: float = 1.0, **_: Any) -> Tensor:
    return nn.init.constant_(tensor, (a + b) / 2)


_MEANS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    **dict.fromkeys((Tensor.normal_, nn.init.normal_), _normal_mean),
    **dict.fromkeys((Tensor.uniform_, nn.init.uniform_), _uniform_mean),
}
