"""cluster/aws.yaml: what Ray's launcher and EC2 check when it is too late, checked without either."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import ray.autoscaler
import yaml
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config

import dfray
from tests.helpers.fields import misspelt, unexplained

FILE = Path(__file__).parents[2] / "cluster" / "aws.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


@cache
def run_instances() -> Any:
    """What EC2's RunInstances takes, by botocore's model."""
    model = botocore.session.get_session().get_service_model("ec2")
    return model.operation_model("RunInstances").input_shape


def unknown_values(value: Any, shape: Any) -> list[str]:
    """Strings that the model's enumerations do not have; botocore itself lets them pass."""
    if shape.type_name == "structure":
        inner = [(value[name], shape.members[name]) for name in value]
    elif shape.type_name == "list":
        inner = [(item, shape.member) for item in value]
    else:
        return [value] if getattr(shape, "enum", None) and value not in shape.enum else []
    return [found for item, member in inner for found in unknown_values(item, member)]


def problems_of_ec2(node_config: dict[str, Any]) -> list[str]:
    asked = node_config | {"MinCount": 1, "MaxCount": 1}
    report = ParamValidator().validate(asked, run_instances())
    return report.generate_report().splitlines() or unknown_values(node_config, run_instances())


def problems_of_ray(config: dict[str, Any]) -> list[str]:
    """Of its own validation, and keys of `provider` that its schema does not know and lets pass."""
    try:
        validate_config(prepare_config(config))
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    known = schema["properties"]["provider"]["properties"]
    return sorted(config["provider"].keys() - known.keys())


def problems_of_ours(config: dict[str, Any]) -> list[str]:
    """Where the file does not say what recipes and the image count on."""
    kinds = {
        name: (kind["labels"].get("role"), kind["resources"])
        for name, kind in config["available_node_types"].items()
    }
    expected = {"head": ("head", {"CPU": 0}), "cpu": ("cpu", {}), "gpu": ("gpu", {})}
    wrong = [] if kinds == expected else ["the head works, or a worker does not"]
    options = config["docker"]["run_options"]
    paths = [o.partition("=")[2] for o in options if o.startswith("--env RAY_AUTH_TOKEN_PATH=")]
    if paths != list(config["file_mounts"]) or "--env RAY_AUTH_MODE=token" not in options:
        wrong.append("the token")
    return wrong


def problems(config: dict[str, Any]) -> list[str]:
    kinds = config.get("available_node_types", {})
    found = [
        each for kind in kinds.values() for each in problems_of_ec2(kind.get("node_config", {}))
    ]
    return found or problems_of_ray(config) or problems_of_ours(config)


def test_every_field_is_explained_where_it_first_stands():
    assert unexplained(FILE) == set()


def test_ray_ec2_and_dfray_take_it(config: dict[str, Any]):
    assert problems(config) == []


def test_no_key_can_be_misspelt_unseen(config: dict[str, Any]):
    assert [where for where, wrong in misspelt(config) if not problems(wrong)] == []


def test_a_machine_or_a_behaviour_that_ec2_does_not_have_is_seen(config: dict[str, Any]):
    machine = config["available_node_types"]["cpu"]["node_config"]
    machine["InstanceType"] = "c7i.4xlarg"
    machine["InstanceMarketOptions"]["SpotOptions"]["InstanceInterruptionBehavior"] = "stopp"
    assert set(problems(config)) == {"c7i.4xlarg", "stopp"}


def test_workers_are_spot_machines_and_the_head_is_not(config: dict[str, Any]):
    kinds = config["available_node_types"]
    assert "InstanceMarketOptions" not in kinds[config["head_node_type"]]["node_config"]
    for role in ("cpu", "gpu"):
        assert kinds[role]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert sum(kind["max_workers"] for kind in kinds.values()) == config["max_workers"]


def test_credentials_are_the_profiles(config: dict[str, Any]):
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["IamInstanceProfile"]["Name"]
    assert "AWS_SECRET" not in FILE.read_text()


def test_the_image_and_the_ray_it_names_are_of_this_version(config: dict[str, Any]):
    assert config["docker"]["image"] == f"dfray:{dfray.__version__}"
    assert FILE.read_text().startswith(f"# Ray {ray.__version__.rpartition('.')[0]}'s launcher")
