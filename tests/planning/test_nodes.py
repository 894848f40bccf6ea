"""A cluster is told in a line, or in a YAML file; what cannot be read is named with an example."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import StorageError, UserError
from dfray.planning.nodes import NodeGroup, Nodes, parse_nodes


def test_a_line_tells_counts_parts_and_prices() -> None:
    nodes = parse_nodes("8x16cpu+64gib@0.68, 1x96cpu+8h100@55")
    assert nodes.groups == (
        NodeGroup(count=8, cpus=16, memory_gib=64, price=0.68),
        NodeGroup(count=1, cpus=96, gpus=8, gpu="h100", price=55),
    )
    assert (nodes.cpus, nodes.gpus) == (8 * 16 + 96, 8)
    assert nodes.price == pytest.approx(8 * 0.68 + 55)


def test_gpus_need_no_name_and_words_no_singular() -> None:
    assert parse_nodes("2x8CPUs+4gpus").groups == (NodeGroup(count=2, cpus=8, gpus=4),)
    assert parse_nodes("1x8cpu+1l40s").groups[0].gpu == "l40s"


def test_memory_may_be_a_fraction() -> None:
    assert parse_nodes("1x8cpu+30.5gib").groups == (NodeGroup(cpus=8, memory_gib=30.5),)


def test_nodes_with_gpus_train_and_the_others_extract() -> None:
    mixed = parse_nodes("8x16cpu,1x96cpu+8h100")
    assert (mixed.extracting.cpus, mixed.training.cpus) == (128, 96)
    assert parse_nodes("3x4cpu").training.cpus == parse_nodes("3x4cpu").extracting.cpus == 12
    assert parse_nodes("1x96cpu+8h100").extracting.cpus == 96


def test_one_missing_price_leaves_the_money_open() -> None:
    assert parse_nodes("8x16cpu@0.68,1x96cpu+8h100").price is None
    assert parse_nodes("8x16cpu@0").price == 0


def test_a_yaml_file_tells_the_same(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(
        "- {count: 8, cpus: 16, price: 0.68}\n- {cpus: 96, gpus: 8, gpu: h100, price: 55}\n"
    )
    assert parse_nodes(str(file)) == parse_nodes("8x16cpu@0.68,1x96cpu+8h100@55")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "COUNTxPART"),
        ("16cpu", "COUNTxPART"),
        ("8x16cpu@cheap", "COUNTxPART"),
        ("8x16cpu@1.2.3", "price: Input should be a valid number"),
        ("8x16", "'16' is not a number with a unit"),
        ("8x16cpu+gpu", "'gpu' is not a number with a unit"),
        ("8x8h100", "cpus of a node are missing"),
        ("8x16cpu+8h1000", "'h1000' is an unknown GPU: use a10g, a100"),
        ("8x16vcpu", "cpus of a node are missing"),
        ("8x16cpu+64gb", "'gb' is an unknown GPU.* memory is in gib"),
        ("8x16cpu+16cpu", "cpus twice"),
        ("1x8cpu+1h100+1l4", "gpus twice"),
        ("8x1.5cpu", "cpus: Input should be a valid integer"),
        ("8x0cpu", "cpus: Input should be greater than or equal to 1 .got 0."),
        ("0x16cpu", "count: Input should be greater than or equal to 1"),
        ("8x16cpu,,1x4cpu", "cannot read ''"),
    ],
)
def test_a_typo_is_named_with_an_example(spec: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        parse_nodes(spec)
    assert "8x16cpu@0.68,1x96cpu+8h100@55" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{cpus: 4}", "is not a list of groups"),
        ("[]", "is not a list of groups"),
        ("- {cpus: [", "is not valid YAML"),
        ("- {cpus: 4, cost: 3}", "cost: Extra inputs are not permitted"),
        ("- 4", "Input should be a valid dictionary"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "nodes.yml").write_text(text)
    with pytest.raises(UserError, match=told):
        parse_nodes(f"{tmp_path}/nodes.yml")


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(StorageError, match="no/nodes.yaml"):
        parse_nodes("/no/nodes.yaml")


def test_nodes_tell_what_they_are() -> None:
    assert str(parse_nodes("8x16cpu+64gib,1x96cpu+8h100")) == (
        "8 x (16 x CPU, 64 GiB), 1 x (96 x CPU, 8 x H100)"
    )
    assert str(Nodes((NodeGroup(cpus=4, gpus=1),))) == "1 x (4 x CPU, 1 x GPU)"
