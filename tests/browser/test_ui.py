"""An analyst's first hour, in a real browser: start a study from its form, watch it, read its report."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.flows.served import STUDY, TITLE
from tests.needs import chromium

pytestmark = [pytest.mark.xdist_group("serve"), pytest.mark.timeout(600, method="thread")]

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SLOW_MS = 120_000


@pytest.fixture
def page(tmp_path):
    """A page of a new browser that notes every host it asks and keeps screenshots."""
    executable = chromium()
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1300, "height": 1000}, locale="en-US")
        context.set_default_timeout(SLOW_MS)
        context.hosts = set()
        context.on("request", lambda asked: context.hosts.add(urlsplit(asked.url).netloc))
        yield context.new_page()
        browser.close()


@pytest.fixture
def shot(tmp_path):
    """Save a screenshot below $CAUSEWAY_SCREENSHOTS, else below the test's own folder."""
    folder = Path(os.environ.get("CAUSEWAY_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def save(page, name):
        page.screenshot(path=folder / f"{name}.png", full_page=True, animations="disabled")

    return save


def test_a_study_is_started_watched_and_read(served, page, shot):
    from playwright.sync_api import expect

    expect.set_options(timeout=SLOW_MS)
    served.forget_runs()

    page.goto(f"http://127.0.0.1:{served.port}")
    page.get_by_role("link", name="Deployments").click()
    expect(page.get_by_role("link", name="nightly-refresh").first).to_be_visible()
    shot(page, "1-deployments")

    page.get_by_role("link", name="run-study").first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    expect(page.get_by_text(TITLE)).to_be_visible()
    expect(page.get_by_text("0 takes the newest accepted data")).to_be_visible()
    page.get_by_role("button", name="study").first.click()
    shot(page, "2-form-choice")
    page.get_by_role("option", name=STUDY).click()
    expect(page.get_by_role("option", name=STUDY)).to_be_hidden()
    shot(page, "3-form")

    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="View run").click()
    page.wait_for_url("**/runs/flow-run/**")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    shot(page, "4-run")

    page.get_by_role("tab", name="Artifacts").click()
    key = STUDY.replace("_", "-")
    expect(page.get_by_text(f"{key}-summary")).to_be_visible()
    shot(page, "5-artifacts")
    page.get_by_role("link", name=re.compile(f"{key}-summary")).click()
    page.get_by_role("link", name=re.compile("^[0-9a-f]{8}$")).first.click()
    link = page.get_by_role("link", name="Report in English")
    expect(link).to_be_visible()
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    shot(page, "6-summary")

    report = page.context.new_page()
    report.goto(link.get_attribute("href"))
    expect(report.get_by_role("heading", name=TITLE).first).to_be_visible()
    assert urlsplit(report.url).port == served.report_port
    shot(report, "7-report")

    report.goto(f"http://127.0.0.1:{served.report_port}")
    report.get_by_role("link", name="Report in English").first.click()
    expect(report.get_by_role("heading", name=TITLE).first).to_be_visible()

    here = {f"127.0.0.1:{port}" for port in (served.port, served.report_port)}
    outside = {host for host in page.context.hosts if host} - here
    assert outside == set()
