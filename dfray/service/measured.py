"""Measurements of a service in Prometheus's text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dfray.service.drift import Drift
from dfray.service.results import Job

if TYPE_CHECKING:
    from dfray.service.champion import Champion, Serving

LATENCY_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Measured:
    """Counts of what was asked and answered.

    Attributes:
        retries: files that were given to another replica after one had died.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "dfray_requests", "Requests to score by status", ["status"], registry=self.registry
        )
        self._outcomes = Counter(
            "dfray_scored",
            "Files by outcome and verdict",
            ["outcome", "verdict"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "dfray_request_seconds",
            "Time from the first byte of a request to its result",
            buckets=LATENCY_S,
            registry=self.registry,
        )
        self.retries = Counter(
            "dfray_retries",
            "Files tried again after the death of a replica",
            registry=self.registry,
        )
        self._open = self._gauge(
            "dfray_open_requests", "Requests from their first byte to their end"
        )
        self._fault = self._gauge(
            "dfray_champion_fault", "1 if the registry's champion is not what is served"
        )
        self._model = self._gauge(
            "dfray_model_info", "The model that is served", "model", "version", "checksum"
        )
        self._psi = self._gauge(
            "dfray_drift_psi",
            "Population stability index of recent files against validation's: scores, face_sizes, no_face",
            "of",
        )
        self._no_face = self._gauge("dfray_no_face_ratio", "Recent files without a face")
        self._drifts: tuple[str, Drift] | None = None

    def count(self, job: Job, seconds: float, serving: Serving | None) -> None:
        """Count a job that is over.

        Args:
            seconds: that it was open.
            serving: what scored it; None: an earlier model, whose drift is not followed any more.
        """
        self.refuse(job.refusal.status if job.refusal else 200)
        self._latency.observe(seconds)
        if job.scored is not None:
            score = job.scored.score
            self._outcomes.labels(score.outcome, score.verdict or "none").inc()
            if serving is not None:
                self._drift_of(serving).add(job.scored)

    def refuse(self, status: int) -> None:
        """Count an answer."""
        self._answers.labels(str(status)).inc()

    def text(self, champion: Champion, n_open: int) -> bytes:
        """Return all of it as Prometheus reads it."""
        self._open.set(n_open)
        self._fault.set(champion.fault is not None)
        for gauge in (self._model, self._psi):
            gauge.clear()
        if champion.current is not None:
            model = champion.current.model.model
            self._model.labels(model.name, model.version, model.checksum).set(1)
            drift = self._drift_of(champion.current)
            for name, value in drift.indices().items():
                self._psi.labels(name).set(value)
            self._no_face.set(drift.no_face_rate() or 0.0)
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _drift_of(self, serving: Serving) -> Drift:
        """Return the drift of a model's files; another model begins anew."""
        if self._drifts is None or self._drifts[0] != serving.model.key:
            self._drifts = serving.model.key, Drift(serving.reference)
        return self._drifts[1]
