"""Results: kept for their time, and pages only as far as they fit."""

from __future__ import annotations

import time

import pytest

from dfray.service import results
from dfray.service.refusal import Refusal
from dfray.service.results import Job, Results
from dfray.service.task import Scored
from tests.helpers.examined import file_score


def done(page: bytes | None = None, age_s: float = 0.0) -> Job:
    job = Job("a.mp4", state="done", ended=time.monotonic() - age_s)
    job.scored = Scored(file_score("a.mp4", 0.5), (), page)
    return job


def test_a_result_is_forgotten_after_its_time_and_no_earlier():
    kept = Results(keep_s=60)
    old, young = done(age_s=61), done(age_s=59)
    for job in (old, young):
        kept.add(job)
    assert kept.get(young.id) is young
    with pytest.raises(Refusal, match="no such result; they are kept for 1 min"):
        kept.get(old.id)


def test_a_request_that_is_not_over_is_never_forgotten():
    kept, job = Results(keep_s=0.0), Job("a.mp4")
    kept.add(job)
    assert kept.get(job.id) is job


def test_the_oldest_pages_go_if_all_are_too_much_and_their_scores_stay(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(results, "PAGES_BYTES", 10)
    kept, jobs = Results(keep_s=60), [done(b"12345678"), done(b"12345678")]
    for job in jobs:
        kept.add(job)
    kept.forget_old()
    assert [job.page for job in jobs] == [None, b"12345678"]
    assert kept.get(jobs[0].id).document()["score"]["fake_probability"] == 0.5
