"""Decisions and versions as they are printed, on a terminal of 80 columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dfray.registry.history import PromotionRecord, VersionId
from dfray.registry.views import VersionView
from dfray.render import registry as render
from dfray.render.tables import console
from tests.helpers.tiny import FIGURES
from tests.serving.test_model_card import CLOSED, FREE, card

REFUSAL = PromotionRecord(
    action="promote",
    promoted=False,
    model_name="faces",
    version=VersionId("2", 1000),
    champion_before=VersionId("1", 1000),
    reasons=("AUC 0.5000 is below the 0.8500 required",),
    who="Ada",
    when="2026-11-21T12:00:00+00:00",
    sequence=2,
    after=1,
)
VERSION = VersionView(
    number="12",
    aliases=("candidate", "champion"),
    created="2026-11-21T12:34:56+00:00",
    run_id="0123456789abcdef",
    metrics=(replace(FIGURES, n_videos=226_000),),
    package="not checked",
    card=card(FREE, CLOSED),
)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Calls a function of `render`; the lines that it prints on a terminal of 80 columns."""
    monkeypatch.setattr(console, "_width", 80)
    monkeypatch.setattr(console, "_force_terminal", True)

    def printed(show, *arguments, **options) -> list[str]:
        show(*arguments, **options)
        return capsys.readouterr().out.splitlines()

    return printed


def test_a_refusal_says_who_stays_the_champion_and_why(lines):
    assert lines(render.show_decision, REFUSAL) == [
        "faces version 2 is not promoted, version 1 stays the champion:",
        "  - AUC 0.5000 is below the 0.8500 required",
    ]
    first = replace(REFUSAL, champion_before=None)
    assert lines(render.show_decision, first)[0].endswith("is not promoted, there is no champion:")


def test_a_note_stands_before_the_decision(lines):
    noted = replace(REFUSAL, notes=("faces were taken in two ways",))
    assert lines(render.show_decision, noted)[0] == "note: faces were taken in two ways."


def test_a_dry_run_tells_what_would_become_of_it(lines):
    dry = replace(REFUSAL, sequence=None)
    assert "version 2 would not be promoted, version 1 stays" in lines(render.show_decision, dry)[0]
    (told,) = lines(render.show_decision, replace(dry, promoted=True))
    assert told == "faces version 2 would become the champion (was version 1)."


def test_the_history_tells_each_decision_with_its_reasons(lines):
    void = replace(REFUSAL, promoted=True, sequence=3)
    assert lines(render.show_history, [REFUSAL, void], as_json=False) == [
        "2  2026-11-21T12:00:00 UTC  Ada: promote version 2 (champion before: 1): refused",
        "   - AUC 0.5000 is below the 0.8500 required",
        "3  2026-11-21T12:00:00 UTC  Ada: promote version 2 (champion before: 1): void",
        "   - another decision came first; nothing was moved",
    ]


def test_the_table_of_versions_fits_and_cuts_no_time_in_two(lines):
    shown = lines(render.show_versions, [VERSION], in_full=False, as_json=False)
    assert "2026-11-21 12:34" in shown[1]
    assert max(len(line) for line in shown) <= 80


def test_the_card_of_a_version_is_wrapped_and_not_cut_off(lines):
    shown = lines(render.show_versions, [VERSION], in_full=True, as_json=False)
    told = " ".join(" ".join(line.strip("▌ ") for line in shown).split())
    assert "ff++: FaceForensics++ terms of use (non-commercial research)." in told
    card_lines = shown[[line.startswith("model card") for line in shown].index(True) :]
    assert max(len(line) for line in card_lines) <= 80
