"""The nodes of a cluster that may not exist yet, as they are told on the command line or in a YAML file.

    8x16cpu@0.68,1x96cpu+8h100+1900gib@55    eight nodes with 16 CPUs each, at 0.68 an hour each, and one
                                             with 96 CPUs, eight H100s and 1,900 GiB of memory, at 55

The same as YAML, one mapping a group: {count: 8, cpus: 16, price: 0.68}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
import yaml
from pydantic import Field

from dfray import storage
from dfray.config.section import Count, NotNegative, Positive, Section
from dfray.errors import UserError

PEAK_TFLOPS = {
    "a10g": 70,
    "a100": 312,
    "b200": 2250,
    "h100": 989,
    "h200": 989,
    "l4": 121,
    "l40s": 362,
}
"""Dense bf16 matrix products as NVIDIA's data sheets give them, 1e12 operations a second."""

EXAMPLE = "8x16cpu@0.68,1x96cpu+8h100@55"
_GROUP = re.compile(r"(?P<count>\d+)x(?P<parts>[^@]+)(?:@(?P<price>[\d.]+))?", re.ASCII)
_PART = re.compile(r"(?P<number>[\d.]+)(?P<what>[a-z][a-z0-9]*)", re.ASCII)


class NodeGroup(Section):
    """Nodes that are alike."""

    count: Count = 1
    cpus: Count = Field(description="of one node, as Ray counts them")
    gpus: Annotated[int, Field(ge=0)] = Field(0, description="of one node")
    gpu: str | None = Field(None, description="which: a name in PEAK_TFLOPS, if it is told")
    memory_gib: Positive | None = Field(None, description="of one node")
    price: NotNegative | None = Field(None, description="of one node for an hour, any currency")

    @pydantic.model_validator(mode="after")
    def _gpu_is_known(self) -> NodeGroup:
        if self.gpu is not None and self.gpu not in PEAK_TFLOPS:
            known = ", ".join(PEAK_TFLOPS)
            raise ValueError(
                f"{self.gpu!r} is no GPU known here: {known}, or gpu for any other; memory is told in gib"
            )
        return self

    def __str__(self) -> str:
        parts = [f"{self.cpus} x CPU"]
        if self.gpus:
            parts.append(f"{self.gpus} x {self.gpu.upper() if self.gpu else 'GPU'}")
        if self.memory_gib:
            parts.append(f"{self.memory_gib:g} GiB")
        return f"{self.count} x ({', '.join(parts)})"


@dataclass(frozen=True)
class Nodes:
    """All nodes of a cluster."""

    groups: tuple[NodeGroup, ...]

    @property
    def cpus(self) -> int:
        return sum(group.count * group.cpus for group in self.groups)

    @property
    def gpus(self) -> int:
        return sum(group.count * group.gpus for group in self.groups)

    @property
    def price(self) -> float | None:
        """Of all of them for an hour; none if a price is missing."""
        prices = [None if g.price is None else g.count * g.price for g in self.groups]
        return None if None in prices else sum(price for price in prices if price is not None)

    @property
    def extracting(self) -> Nodes:
        """Those that find faces: the nodes without a GPU, or all if each has one."""
        return Nodes(tuple(g for g in self.groups if not g.gpus) or self.groups)

    @property
    def training(self) -> Nodes:
        """Those that train: the nodes with a GPU, or all if none has one."""
        return Nodes(tuple(g for g in self.groups if g.gpus) or self.groups)

    def __str__(self) -> str:
        return ", ".join(map(str, self.groups))


def parse_nodes(spec: str) -> Nodes:
    """The nodes of `spec`: groups as in the module's docstring, or the URI of a YAML file of them.

    Raises:
        UserError: a group cannot be read; it is named, with an example.
        StorageError: the file cannot be read.
    """
    if spec.endswith((".yaml", ".yml")):
        return _from_yaml(spec)
    groups = [_group(_fields(text.strip()), text.strip()) for text in spec.split(",")]
    return Nodes(tuple(groups))


def _fields(text: str) -> dict[str, Any]:
    found = _GROUP.fullmatch(text.lower())
    if found is None:
        raise _refusal(text, "it is not COUNTxPART+PART@PRICE")
    fields: dict[str, Any] = {"count": int(found["count"]), "price": found["price"]}
    for part in found["parts"].split("+"):
        known = _PART.fullmatch(part)
        if known is None:
            raise _refusal(text, f"{part!r} is not a number and what of, such as 16cpu")
        told = _part(known["number"], known["what"])
        twice = ", ".join(sorted(told.keys() & fields.keys()))
        if twice:
            raise _refusal(text, f"it tells {twice} twice")
        fields |= told
    return fields


def _part(number: str, what: str) -> dict[str, str]:
    """16, cpus -> cpus: 16; 8, h100 -> gpus: 8, gpu: h100."""
    name = what if what in PEAK_TFLOPS else what.removesuffix("s")
    if name in ("cpu", "gpu"):
        return {f"{name}s": number}
    return {"memory_gib": number} if name == "gib" else {"gpus": number, "gpu": name}


def _from_yaml(uri: str) -> Nodes:
    try:
        listed = yaml.safe_load(storage.read_bytes(uri))
    except yaml.YAMLError as error:
        raise UserError(f"--nodes: {uri} is not YAML: {error}.") from error
    if not isinstance(listed, list) or not listed:
        raise UserError(
            f"--nodes: {uri} is not a list of groups of nodes.",
            "Write one mapping a group, such as - {count: 8, cpus: 16, price: 0.68}.",
        )
    return Nodes(tuple(_group(fields, f"{uri}: {fields}") for fields in listed))


def _group(fields: Any, text: str) -> NodeGroup:
    try:
        return NodeGroup.model_validate(fields)
    except pydantic.ValidationError as error:
        told = "; ".join(_words(one) for one in error.errors())
        raise _refusal(text, told) from None


def _words(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"{place} of a node are not told"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] == "value_error" else f" (got {error['input']})"
    return f"{place}: {message}{given}" if place else f"{message}{given}"


def _refusal(text: str, why: str) -> UserError:
    return UserError(f"--nodes: cannot read {text!r}: {why}.", f"An example: {EXAMPLE}")
