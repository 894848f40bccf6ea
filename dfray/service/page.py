"""Page of the service, on which a person drops a file; it asks nobody but the service.

Its script is in it and named by its hash in the content security policy (CSP level 3): no other runs, also
not in the page of a score, which it shows in a frame that takes over this policy.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources

from markupsafe import Markup

from dfray.pages.page import stylesheet, template_environment
from dfray.service.settings import ServiceSettings


@dataclass(frozen=True)
class ServicePage:
    """The page and its headers."""

    html: str
    headers: dict[str, str]


def service_page(settings: ServiceSettings) -> ServicePage:
    """Return the page, which has no secrets: the script asks for the token, or has it from the URL."""
    script = (resources.files("dfray.service") / "templates" / "page.js").read_text()
    html = (
        template_environment("dfray.service")
        .get_template("page.html.jinja")
        .render(
            css=stylesheet(),
            script=Markup(script),
            max_bytes=settings.max_bytes,
            max_mb=f"{settings.max_mb:g}",
            max_minutes=f"{settings.max_minutes:g}",
            keep_minutes=f"{settings.keep_minutes:g}",
        )
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return ServicePage(html, {"Content-Security-Policy": "; ".join(policy)})
