"""cluster/aws.yaml: what Ray's launcher and EC2 check when it is too late, checked without either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

import dfray

FILE = Path(__file__).parents[2] / "cluster" / "aws.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def problems(node_config: dict[str, Any]) -> str:
    """What botocore's model of EC2 has against it; empty: nothing."""
    model = botocore.session.get_session().get_service_model("ec2")
    asked = node_config | {"MinCount": 1, "MaxCount": 1}
    report = ParamValidator().validate(asked, model.operation_model("RunInstances").input_shape)
    return report.generate_report()


def unknown_values(value: Any, shape: Any) -> list[str]:
    """Strings that the model's enumerations do not have; botocore itself lets them pass."""
    if shape.type_name == "structure":
        inner = [(value[name], shape.members[name]) for name in value]
    elif shape.type_name == "list":
        inner = [(item, shape.member) for item in value]
    else:
        return [value] if getattr(shape, "enum", None) and value not in shape.enum else []
    return [found for item, member in inner for found in unknown_values(item, member)]


def test_rays_launcher_takes_it(config: dict[str, Any]):
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def test_rays_launcher_would_not_take_a_typo(config: dict[str, Any]):
    from ray.autoscaler._private.util import prepare_config, validate_config

    config["available_node_types"]["cpu"]["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(config))


def test_ec2_knows_every_field_of_every_machine(config: dict[str, Any]):
    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    for name, kind in config["available_node_types"].items():
        assert problems(kind["node_config"]) == "", name
        assert unknown_values(kind["node_config"], shape) == [], name


def test_ec2_would_not_know_a_typo(config: dict[str, Any]):
    machine = config["available_node_types"]["cpu"]["node_config"]
    assert "InstanceMarketOption" in problems(machine | {"InstanceMarketOption": {}})
    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    assert unknown_values({"InstanceType": "c7i.4xlarg"}, shape) == ["c7i.4xlarg"]


def test_workers_are_spot_machines_with_a_label_and_the_head_is_not(config: dict[str, Any]):
    kinds = config["available_node_types"]
    assert "InstanceMarketOptions" not in kinds[config["head_node_type"]]["node_config"]
    for role in ("cpu", "gpu"):
        assert kinds[role]["labels"] == {"role": role}
        assert kinds[role]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert sum(kind["max_workers"] for kind in kinds.values()) == config["max_workers"]


def test_tokens_are_on_and_credentials_are_the_profiles(config: dict[str, Any]):
    options = config["docker"]["run_options"]
    assert "--env RAY_AUTH_MODE=token" in options
    (place,) = [o.partition("=")[2] for o in options if o.startswith("--env RAY_AUTH_TOKEN_PATH=")]
    assert place in config["file_mounts"]
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["IamInstanceProfile"]["Name"]
    assert "AWS_SECRET" not in FILE.read_text()


def test_the_image_is_of_this_version(config: dict[str, Any]):
    assert config["docker"]["image"] == f"dfray:{dfray.__version__}"
