"""The page of the service in a real browser: drop, progress, result, refusal, keyboard, a narrow window."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import chromium, overflow_px
from tests.helpers.service import TOKEN, Service, register_tiny, service
from tests.helpers.tiny import portrait, write_clip

pytestmark = [pytest.mark.usefixtures("ray_session"), pytest.mark.timeout(600)]
LONG_MS = 60_000


@pytest.fixture(scope="module")
def served(
    ray_session: None, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    register_tiny(tmp_path_factory.mktemp("shown"), tracking_uri, "shown")
    with service(tracking_uri, model="models:/shown@champion", max_mb=4) as running:
        yield running


@pytest.fixture(scope="module")
def browser(served: Service) -> Iterator[Any]:
    """After the service, which cannot be started while Playwright's event loop runs."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Any, served: Service) -> Iterator[Any]:
    """The page with its token; no error of its script, and no request to elsewhere."""
    faults: list[str] = []
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(LONG_MS)
    opened.on("pageerror", lambda error: faults.append(str(error)))

    def watch(request: Any) -> None:
        if not request.url.startswith((served.url, "blob:", "data:", "about:")):
            faults.append(request.url)

    opened.on("request", watch)
    opened.goto(f"{served.url}/#token={TOKEN}")
    yield opened
    context.close()
    assert faults == []


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dropped") / "<b>clip<b>.mp4"
    return Path(write_clip(path, portrait(), seconds=3))


def drop(page: Any, *files: Path) -> None:
    """Drop files on the page, as from a file manager."""
    contents = [[f.name, base64.b64encode(f.read_bytes()).decode()] for f in files]
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name));
          }
          return transfer;
        }""",
        contents,
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", kind, {"dataTransfer": transfer})


def watch_states(page: Any) -> None:
    """Note every text that the page gives as its state."""
    page.evaluate(
        """() => {
          window.states = [];
          const note = () => window.states.push(document.getElementById("state").textContent);
          new MutationObserver(note).observe(document.getElementById("state"), {childList: true});
        }"""
    )


def test_a_dropped_video_shows_its_progress_and_then_its_page(page: Any, video: Path):
    watch_states(page)
    drop(page, video)
    page.wait_for_selector("#result:not([hidden])")
    states = page.evaluate("window.states")
    assert any("sending" in state for state in states)
    assert any("looked at" in state or "waiting" in state for state in states)
    assert page.inner_text("#state").startswith("<b>clip<b>.mp4: score 0.")
    inside = page.frame_locator("#page")
    assert "<b>clip<b>.mp4" in inside.locator("body").inner_text()
    assert inside.locator("svg.timeline").count() == 1
    assert inside.locator(".moment img").count() > 0
    assert page.evaluate("document.activeElement.id") == "result"
    height = page.evaluate("document.getElementById('page').clientHeight")
    assert height > 1000, "all of the page is seen without a second scroll bar"


def test_the_page_of_a_score_can_be_saved(page: Any, video: Path, tmp_path: Path):
    drop(page, video)
    page.wait_for_selector("#result:not([hidden])")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "score.html")
    assert "&lt;b&gt;clip&lt;b&gt;.mp4" in (tmp_path / "score.html").read_text()


def test_a_refusal_is_told_with_its_reason(page: Any, tmp_path: Path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    drop(page, text)
    page.wait_for_selector("#refusal:not([hidden])")
    assert page.inner_text("#refusal").startswith("text.mp4: ")
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(5 * 2**20))
    drop(page, large)
    page.wait_for_selector("#refusal:has-text('larger than 4 MiB')")
    assert page.get_attribute("#refusal", "role") == "alert"


def test_two_files_at_once_are_refused(page: Any, video: Path, tmp_path: Path):
    drop(page, video, video)
    page.wait_for_selector("#refusal:not([hidden])")
    assert "one file at a time" in page.inner_text("#refusal")


def test_the_keyboard_is_enough(page: Any, video: Path):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(video)
    page.wait_for_selector("#result:not([hidden])")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "save"


def test_without_a_token_the_page_asks_for_it(browser: Any, served: Service, video: Path):
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(LONG_MS)
    opened.goto(served.url)
    opened.wait_for_selector("#access:not([hidden])")
    opened.fill("#token", "a wrong token of nobody")
    opened.keyboard.press("Enter")
    drop(opened, video)
    opened.wait_for_selector("#refusal:not([hidden])")
    assert "token" in opened.inner_text("#refusal")
    opened.fill("#token", TOKEN)
    opened.keyboard.press("Enter")
    opened.wait_for_selector("#access", state="hidden")
    drop(opened, video)
    opened.wait_for_selector("#result:not([hidden])")
    context.close()


def test_the_token_does_not_stay_in_the_address(page: Any):
    assert "token" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_needs_no_scrolling_to_the_right(page: Any, video: Path, scheme: str):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 400, "height": 800})
    assert overflow_px(page) == 0
    drop(page, video)
    page.wait_for_selector("#result:not([hidden])")
    assert overflow_px(page) == 0


def test_no_script_but_the_page_s_own_may_run(page: Any, served: Service):
    policy = served.get("/", token=None).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    page.evaluate("() => { window.ran = 0; }")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = 1";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.ran") == 0
