"""Verdicts of an audit: refused, warned of, not known, or passed; kept as JSON and drawn as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dfray.audit.equal import EqualVideos, Member
from dfray.audit.metadata_probe import ProbeResult
from dfray.audit.near_duplicates import NearDuplicate
from dfray.audit.page import MAX_ROWS, audit_sections, write_page
from dfray.audit.people import SharedPeople
from dfray.audit.result import Audit
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.strata import StratifiedAuc, Stratum

HIGH, CHANCE = Estimate(value=0.9, low=0.8, high=0.95), Estimate(value=0.52, low=0.4, high=0.6)
CLEAN = Audit((), (), (), (), (ProbeResult("toy", "train and val", 9, 9, CHANCE),), (), 4, 4, 0)


def member(name: str, split: str, label: int = 0) -> Member:
    return Member(f"toy/camera/{name}", "toy", split, label)


def group(*members: Member, by: str = "bytes") -> EqualVideos:
    return EqualVideos(members, by)


CROSSING = group(member("a", "train"), member("b", "test"))
WITHIN = group(member("c", "test"), member("d", "test"))


def states(audit: Audit) -> dict[str, str]:
    return {verdict.part: verdict.state for verdict in audit.verdicts}


def sentence(audit: Audit, part: str) -> str:
    return next(verdict.sentence for verdict in audit.verdicts if verdict.part == part)


def test_a_clean_audit_passes_what_can_be_told() -> None:
    assert states(CLEAN) == {
        "equal files": "ok",
        "equal faces": "ok",
        "near-duplicates": "ok",
        "people in training and test": "ok",
        "metadata": "ok",
        "stratified AUC": "unknown",
    }
    assert not CLEAN.is_refused


@pytest.mark.parametrize("part", ["files", "faces"])
def test_equal_videos_across_splits_are_refused_and_within_one_are_not(part: str) -> None:
    name = f"equal {part}"
    assert states(replace(CLEAN, **{part: (CROSSING, WITHIN)}))[name] == "refuse"
    within = replace(CLEAN, **{part: (WITHIN,)})
    assert states(within)[name] == "ok"
    assert sentence(within, name) == "1 elsewhere, which count once in figures"


def test_equal_videos_of_two_labels_are_a_warning() -> None:
    audit = replace(CLEAN, files=(group(member("a", "train"), member("b", "train", 1)),))
    assert states(audit)["equal files"] == "warn"


def test_what_is_not_extracted_or_of_an_old_store_is_not_known() -> None:
    audit = replace(CLEAN, n_extracted=3, n_without_prints=2, probe=())
    assert states(audit)["equal faces"] == states(audit)["near-duplicates"] == "unknown"
    assert "1 of 4 videos have no faces yet; 2 were extracted by an earlier dfray" in sentence(
        audit, "equal faces"
    )
    assert states(audit)["metadata"] == "unknown"


def test_near_duplicates_and_a_shortcut_are_warnings_that_name_what_they_found() -> None:
    pair = NearDuplicate(member("a", "train"), member("b", "test"), 3, 3, True)
    shortcut = ProbeResult("toy", "train and val", 9, 9, HIGH, None, (("codec", HIGH),))
    audit = replace(CLEAN, near=(pair,), probe=(shortcut,))
    assert states(audit)["near-duplicates"] == states(audit)["metadata"] == "warn"
    assert "1 of them of one source by the corpus" in sentence(audit, "near-duplicates")
    assert sentence(audit, "metadata").endswith("toy: AUC 0.900 (by codec)")


def test_shared_people_are_a_warning_and_unknown_ones_are_said() -> None:
    shared = SharedPeople("x", "y", "number", 51, 59, 0, "by name")
    unknown = SharedPeople("x", "z", "not known", None, 0, 0, "nothing is stated")
    audit = replace(CLEAN, people=(shared, unknown))
    assert states(audit)["people in training and test"] == "warn"
    found = sentence(audit, "people in training and test")
    assert found == "x and y: 51 of 59 named; not known of 1 of 2 pair(s) of datasets"
    assert states(replace(CLEAN, people=(unknown,)))["people in training and test"] == "unknown"
    hardly_named = SharedPeople("x", "y", "number", 0, 1, 999, "by name")
    assert (
        states(replace(CLEAN, people=(hardly_named,)))["people in training and test"] == "unknown"
    )


def test_a_dataset_that_the_probe_could_not_tell_of_is_named() -> None:
    few = ProbeResult("small", "train and val", 3, 3, None, "too few to tell: 5 are needed")
    audit = replace(CLEAN, probe=(*CLEAN.probe, few))
    assert states(audit)["metadata"] == "unknown"
    assert sentence(audit, "metadata") == (
        "no AUC is surely above 0.55; not known: small: too few to tell: 5 are needed"
    )
    within = ProbeResult("small", "cross-validation", 9, 9, CHANCE)
    assert states(replace(CLEAN, probe=(*CLEAN.probe, few, within)))["metadata"] == "ok"


def test_a_probe_of_nothing_says_whether_faces_are_missing_or_none_were_found() -> None:
    empty = replace(CLEAN, probe=())
    assert sentence(empty, "metadata") == "no video of the test has a face"
    some = sentence(replace(empty, n_extracted=3), "metadata")
    assert some == "no video of the test has a face; 1 of 4 videos have no faces yet"
    assert states(replace(CLEAN, n_extracted=3))["metadata"] == "unknown"


def test_pooled_datasets_that_metadata_tell_apart_are_no_shortcut() -> None:
    pooled = ProbeResult("all videos, pooled", "train and val", 9, 9, HIGH, is_pooled=True)
    assert states(replace(CLEAN, probe=(*CLEAN.probe, pooled)))["metadata"] == "ok"


def strata(stratified: Estimate) -> tuple[StratifiedAuc, ...]:
    part = Stratum(low=None, high=120.0, n_real=9, n_fake=9, auc=stratified)
    few = Stratum(low=120.0, high=None, n_real=1, n_fake=9, reason="too few to tell")
    entry = {
        "dataset": "toy",
        "property": "face_px",
        "n_real": 10,
        "n_fake": 18,
        "plain": HIGH,
        "stratified": stratified,
    }
    return (StratifiedAuc(**entry, strata=[part, few]),)


def test_an_auc_that_is_lost_within_like_videos_is_a_warning() -> None:
    assert states(replace(CLEAN, strata=strata(CHANCE)))["stratified AUC"] == "warn"
    assert states(replace(CLEAN, strata=strata(HIGH)))["stratified AUC"] == "ok"


def test_the_result_as_json_has_the_verdicts_and_all_that_was_found() -> None:
    values = json.loads(replace(CLEAN, files=(CROSSING,), strata=strata(HIGH)).to_json())
    assert values["verdicts"][0]["state"] == "refuse"
    assert values["files"][0]["members"][1]["video_id"] == "toy/camera/b"
    assert values["probe"][0]["auc"]["value"] == 0.52
    assert values["strata"][0]["strata"][0]["n_real"] == 9


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.ids += [value for name, value in attributes if name == "id"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_has_each_section_and_escapes_names(tmp_path: Path) -> None:
    odd = group(member("<script>", "train"), member("b", "test"))
    people = (SharedPeople("x", "y", "number", 51, 59, 0, "by name"),)
    audit = replace(CLEAN, files=(odd,), people=people, strata=strata(HIGH))
    write_page(str(tmp_path / "audit.html"), "A & B", audit)
    html = (tmp_path / "audit.html").read_text()
    tags = Tags(html)
    assert tags.open == []
    assert tags.ids == ["audit", "people", "metadata", "strata"]
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "A &amp; B" in html
    assert "http" not in html.replace("http-equiv", "")


def test_a_long_list_is_cut_and_counted() -> None:
    groups = tuple(group(member(f"{n}", "train"), member(f"{n}x", "test")) for n in range(300))
    html = audit_sections(replace(CLEAN, files=groups))
    assert "Groups of equal bytes, in training and in test: 300" in html
    assert f"The first {MAX_ROWS}." in html
    assert html.count("<code>toy/camera/") == MAX_ROWS
