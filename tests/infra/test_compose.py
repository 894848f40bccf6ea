"""infra/compose.yaml and infra/Dockerfile: what can be held against them without Docker."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typer.main import get_command

import dfray
from dfray.cli import app

ROOT = Path(__file__).parents[2]


class Strict(BaseModel):
    """The part of the Compose specification that is used; other keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


Seconds = Annotated[str, Field(pattern=r"^\d+s$")]


class Healthcheck(Strict):
    test: list[str]
    interval: Seconds
    timeout: Seconds
    retries: int
    start_period: Seconds = "0s"


class Condition(Strict):
    condition: Literal["service_healthy", "service_completed_successfully"]


class Build(Strict):
    context: str
    dockerfile: str


class Service(Strict):
    image: Annotated[str, Field(pattern=r"^[\w/.-]+:[\w.-]+$")]
    build: Build | None = None
    profiles: list[Literal["serve"]] = []
    shm_size: Annotated[str, Field(pattern=r"^\d+[mg]b$")] | None = None
    restart: Literal["unless-stopped"] | None = None
    command: list[str] = []
    environment: dict[str, str]
    volumes: list[str] = []
    ports: list[str] = []
    depends_on: dict[str, Condition] = {}
    healthcheck: Healthcheck | None = None


class Compose(Strict):
    name: str
    services: dict[str, Service]
    volumes: dict[str, None]


@pytest.fixture
def raw() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())


@pytest.fixture
def compose(raw: dict[str, Any]) -> Compose:
    return Compose.model_validate(raw)


def test_a_key_that_compose_does_not_know_is_refused(raw: dict[str, Any]):
    raw["services"]["s3"]["health_check"] = {}
    with pytest.raises(ValidationError, match="health_check"):
        Compose.model_validate(raw)


def test_versions_are_pinned(compose: Compose):
    for service in compose.services.values():
        name, _, tag = service.image.partition(":")
        assert re.match(r"\d", tag), service.image
        assert name != "dfray" or tag == dfray.__version__


def test_only_loopback_listens(compose: Compose):
    published = [port for service in compose.services.values() for port in service.ports]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_come_from_the_environment_and_their_absence_is_an_error(compose: Compose):
    for service in compose.services.values():
        for name, value in service.environment.items():
            if name.endswith(("PASSWORD", "KEY", "KEY_ID", "TOKEN")):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_the_service_is_asked_for_and_guarded(compose: Compose):
    service = compose.services["serve"]
    assert service.profiles == ["serve"], "there is no champion at first"
    arguments = dict(word.removeprefix("--").split("=") for word in service.command[2:])
    assert service.command[:2] == ["dfray", "serve"]
    assert set(arguments) <= {option.name for option in get_command(app).commands["serve"].params}
    assert "--no-auth" not in service.command


def test_nothing_starts_before_what_it_needs(compose: Compose):
    services = compose.services
    for service in services.values():
        for needed, how in service.depends_on.items():
            assert how.condition != "service_healthy" or services[needed].healthcheck
    assert set(services["mlflow"].depends_on) == {"postgres", "bucket"}


def test_what_is_to_be_kept_lies_in_volumes(compose: Compose):
    used = {v.partition(":")[0] for s in compose.services.values() for v in s.volumes}
    assert {name for name in used if not name.startswith(".")} == compose.volumes.keys()
    for path in used - compose.volumes.keys():
        assert (ROOT / "infra" / path).is_file()


def instructions(name: str) -> list[str]:
    joined = (ROOT / "infra" / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_the_image_is_of_a_pinned_base_and_of_packages_locked_by_hash():
    assert instructions("FROM")[0].startswith("FROM python:3.11.")
    for line in instructions("RUN"):
        if "pip install" in line:
            assert "--require-hashes" in line or "--no-deps /wheels/" in line
        if "pip wheel" in line:
            assert "--no-build-isolation" in line, (
                "isolation would fetch build tools that nobody locked"
            )


def test_the_build_tools_it_takes_are_all_that_the_build_needs():
    (script,) = [line for line in instructions("RUN") if "awk" in line]
    kept = re.search(r"\^\((.*)\)==", script)
    assert kept
    locked = (ROOT / "requirements-dev.txt").read_text()
    for name in kept.group(1).split("|"):
        assert re.search(rf"^{name}==.*\\\n    --hash", locked, re.MULTILINE), name
    needs = set(
        re.findall(r"^(\S+)==(?:.*\n)(?:    .*\n)*?    #.*hatchling$", locked, re.MULTILINE)
    )
    assert needs <= set(kept.group(1).split("|")) | {"hatchling"}


def test_it_runs_without_root_and_with_tokens():
    order = (ROOT / "infra" / "Dockerfile").read_text().splitlines()
    assert order.index("USER ray") < order.index("RUN dfray models fetch")
    assert [line for line in order if line.startswith("USER")] == ["USER ray"]
    assert "ENV RAY_AUTH_MODE=token" in order
    assert shlex.split(instructions("CMD")[0])


def test_the_context_holds_what_is_copied_and_no_more():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        word for line in instructions("COPY") if "--from" not in line for word in line.split()[1:-1]
    }
    assert ignored[0] == "*"
    assert copied == sent
