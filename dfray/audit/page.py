"""Pages of an audit: a page of its own, and the same sections for the report of an evaluation."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from dfray import storage
from dfray.audit.metadata_probe import MARGIN
from dfray.audit.result import Audit, listed
from dfray.evaluation.strata import STRATIFIED
from dfray.pages.page import assets, template_environment

MAX_ROWS = 200
"""Lines of a list of videos."""
STATES = {"refuse": "refused", "warn": "warning", "unknown": "not known", "ok": "passed"}


def audit_sections(audit: Audit) -> Markup:
    """Return the sections of an audit, which begin with the id `audit`, as HTML."""
    page = template_environment("dfray.audit").get_template("sections.html.jinja")
    return Markup(page.render(**_values(audit)))


def failed_section(reason: str) -> Markup:
    """Return the section with the id `audit` of a report whose audit failed, as HTML."""
    page = template_environment("dfray.audit").get_template("failed.html.jinja")
    return Markup(page.render(reason=reason))


def write_page(path_uri: str, title: str, audit: Audit) -> None:
    """Write the page of an audit, atomically; it loads nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    page = template_environment("dfray.audit").get_template("audit.html.jinja")
    html = page.render(title=title, css=assets()["css"], **_values(audit))
    storage.write_bytes(html.encode(), path_uri)


def _values(audit: Audit) -> dict[str, Any]:
    lists = [(title, lines[:MAX_ROWS], len(lines)) for title, lines in listed(audit) if lines]
    return {
        "audit": audit,
        "states": STATES,
        "lists": lists,
        "properties": STRATIFIED,
        "threshold": 0.5 + MARGIN,
    }
