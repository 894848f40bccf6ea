"""Nodes of a planned cluster, as given on the command line or in a YAML file.

    8x16cpu@0.68,1x96cpu+8h100+1900gib@55    eight nodes with 16 CPUs each, at 0.68 an hour each, and one
                                             with 96 CPUs, eight H100s and 1,900 GiB of memory, at 55

The same as YAML, one mapping a group: {count: 8, cpus: 16, price: 0.68}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
from pydantic import Field
from pydantic_core import ErrorDetails

from dfray.config.section import Count, NotNegative, Positive, Section
from dfray.documents import read_yaml, shown
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
"""GPU -> dense bf16 throughput of NVIDIA's data sheets, 1e12 operations per second."""

MEMORY_GB = {
    "a10g": 24,
    "a100": 80,  # there is one of 40, too
    "b200": 180,
    "h100": 80,
    "h200": 141,
    "l4": 24,
    "l40s": 48,
}
"""GPU -> memory of NVIDIA's data sheets, GB."""

EXAMPLE = "8x16cpu@0.68,1x96cpu+8h100@55"
_GROUP = re.compile(r"(?P<count>\d+)x(?P<parts>[^@]+)(?:@(?P<price>[\d.]+))?", re.ASCII)
_PART = re.compile(r"(?P<number>[\d.]+)(?P<unit>[a-z][a-z0-9]*)", re.ASCII)


class NodeGroup(Section):
    """Nodes with the same hardware."""

    count: Count = 1
    cpus: Count = Field(description="CPUs of one node, as Ray counts them")
    gpus: Annotated[int, Field(ge=0)] = Field(0, description="GPUs of one node")
    gpu: str | None = Field(None, description="name in PEAK_TFLOPS; null: unknown")
    memory_gib: Positive | None = Field(None, description="memory of one node, GiB")
    price: NotNegative | None = Field(None, description="price per node and hour, in any currency")

    @pydantic.model_validator(mode="after")
    def _gpu_is_known(self) -> NodeGroup:
        if self.gpu is not None and self.gpu not in PEAK_TFLOPS:
            names = ", ".join(PEAK_TFLOPS)
            raise ValueError(
                f"{self.gpu!r} is an unknown GPU: use {names}, or gpu for any other; memory is in gib"
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
    """All nodes of a planned cluster."""

    groups: tuple[NodeGroup, ...]

    @property
    def cpus(self) -> int:
        """CPUs of all nodes."""
        return sum(group.count * group.cpus for group in self.groups)

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return sum(group.count * group.gpus for group in self.groups)

    @property
    def price(self) -> float | None:
        """Price of all nodes per hour; none if one of them has no price."""
        prices = [None if g.price is None else g.count * g.price for g in self.groups]
        return None if None in prices else sum(price for price in prices if price is not None)

    @property
    def extracting(self) -> Nodes:
        """Nodes that extract faces: those without a GPU, or all if each has one."""
        return Nodes(tuple(g for g in self.groups if not g.gpus) or self.groups)

    @property
    def training(self) -> Nodes:
        """Nodes that train: those with a GPU, or all if none has one."""
        return Nodes(tuple(g for g in self.groups if g.gpus) or self.groups)

    @property
    def has_separate_training(self) -> bool:
        """True if extraction and training run on different nodes."""
        return self.extracting.groups != self.training.groups

    def __str__(self) -> str:
        return ", ".join(map(str, self.groups))


def parse_nodes(spec: str) -> Nodes:
    """Return the nodes of `spec`: groups as in the module's docstring, or the URI of a YAML file of them.

    Raises:
        UserError: a group cannot be read; the message quotes it, with an example.
        StorageError: the file cannot be read.
    """
    if spec.endswith((".yaml", ".yml")):
        return _from_yaml(spec)
    groups = [_group(_fields(text.strip()), text.strip()) for text in spec.split(",")]
    return Nodes(tuple(groups))


def _fields(text: str) -> dict[str, Any]:
    """Return the fields of a NodeGroup in COUNTxPART+PART@PRICE, as text."""
    match = _GROUP.fullmatch(text.lower())
    if match is None:
        raise _refusal(text, "it is not COUNTxPART+PART@PRICE")
    fields: dict[str, Any] = {"count": int(match["count"]), "price": match["price"]}
    for text_part in match["parts"].split("+"):
        quantity = _PART.fullmatch(text_part)
        if quantity is None:
            raise _refusal(text, f"{text_part!r} is not a number with a unit, such as 16cpu")
        hardware = _hardware(quantity["number"], quantity["unit"])
        if repeated := ", ".join(sorted(hardware.keys() & fields.keys())):
            raise _refusal(text, f"it gives {repeated} twice")
        fields |= hardware
    return fields


def _hardware(number: str, unit: str) -> dict[str, str]:
    """Return the fields of one part: 16, cpus -> cpus: 16; 8, h100 -> gpus: 8, gpu: h100."""
    name = unit if unit in PEAK_TFLOPS else unit.removesuffix("s")
    if name in ("cpu", "gpu"):
        return {f"{name}s": number}
    return {"memory_gib": number} if name == "gib" else {"gpus": number, "gpu": name}


def _from_yaml(uri: str) -> Nodes:
    listed = read_yaml(uri).value
    if not isinstance(listed, list) or not listed:
        raise UserError(
            f"--nodes: {uri} is not a list of groups of nodes.",
            "Write one mapping a group, such as - {count: 8, cpus: 16, price: 0.68}.",
        )
    return Nodes(tuple(_group(fields, f"{uri}: {shown(fields)}") for fields in listed))


def _group(fields: object, text: str) -> NodeGroup:
    try:
        return NodeGroup.model_validate(fields)
    except pydantic.ValidationError as error:
        raise _refusal(text, "; ".join(map(_line, error.errors()))) from None


def _line(error: ErrorDetails) -> str:
    """Return one of pydantic's errors as a clause of a message."""
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"{place} of a node are missing"
    message = error["msg"].removeprefix("Value error, ")
    value = "" if error["type"] == "value_error" else f" (got {error['input']})"
    return f"{place}: {message}{value}" if place else f"{message}{value}"


def _refusal(text: str, reason: str) -> UserError:
    return UserError(f"--nodes: cannot read {text!r}: {reason}.", f"An example: {EXAMPLE}")
