"""Settings of a service: what is given goes before the environment, and bad values are told by name."""

from __future__ import annotations

import pytest

from dfray.errors import UserError
from dfray.service.settings import VARIABLES, ServiceSettings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DFRAY_SERVE_REPLICAS", "3")
    monkeypatch.setenv("DFRAY_SERVE_QUEUE", "5")
    settings = ServiceSettings.of(replicas=2, queue=None)
    assert (settings.replicas, settings.queue) == (2, 5)


def test_every_setting_has_a_variable():
    assert VARIABLES.keys() == ServiceSettings.model_fields.keys()


def test_prefixes_of_the_environment_are_divided_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DFRAY_SERVE_FROM", "/videos, s3://bucket/clips,")
    assert ServiceSettings.of().allow == ("/videos", "s3://bucket/clips")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("replicas", 0, "DFRAY_SERVE_REPLICAS"),
        ("max_mb", -1, "DFRAY_SERVE_MAX_MB"),
        ("queue", 0, "DFRAY_SERVE_QUEUE"),
        ("timeout_s", 0, "DFRAY_SERVE_LIMIT_S"),
        ("allow", ("http://host/",), "neither a folder nor an s3:// URI"),
        ("allow", ("/videos", ""), "empty"),
        ("max_mb", float("inf"), "DFRAY_SERVE_MAX_MB"),
        ("timeout_s", float("inf"), "DFRAY_SERVE_LIMIT_S"),
    ],
)
def test_a_bad_value_is_told_with_its_variable(name: str, value: object, said: str):
    with pytest.raises(UserError) as error:
        ServiceSettings.of(**{name: value})
    assert name in str(error.value)
    assert said in f"{error.value} {error.value.hint}"


def test_a_short_token_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DFRAY_SERVE_TOKEN", "short-secret")
    with pytest.raises(UserError, match="token") as error:
        ServiceSettings.of()
    assert "short-secret" not in f"{error.value} {error.value.hint}"


def test_the_line_break_that_ends_a_file_is_no_part_of_its_token():
    assert ServiceSettings.of(token="sixteen-letters-\n").token == "sixteen-letters-"


@pytest.mark.parametrize("token", ["sixteen-letters-ü", "sixteen\nletters-"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str):
    with pytest.raises(UserError, match="visible ASCII") as error:
        ServiceSettings.of(token=token)
    assert token not in str(error.value)


def test_a_token_is_made_where_none_is_given_and_never_printed():
    first, second = (ServiceSettings.of().with_token() for _ in range(2))
    assert first.token != second.token
    assert len(first.token or "") >= 16
    assert first.token not in repr(first)
    assert first.with_token() is first
