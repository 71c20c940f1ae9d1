"""The web page in headless Chromium, with a tiny piano behind it."""

import io
import re
import threading
import time

import numpy as np
import pytest
import soundfile

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.serving.app import api
from style_transfer.serving.app.service import Service
from style_transfer.serving.app.settings import AppLimits
from style_transfer.serving.server.http import HttpThread
from tests import pianos

TIMEOUT_MS = 30_000


@pytest.fixture(scope="module")
def service():
    limits = AppLimits(body_bytes=1 << 20, adapt_steps=200)
    made = Service(pianos.tiny_model(), limits)
    yield made
    assert made.close()


@pytest.fixture(scope="module")
def address(service):
    http = HttpThread(api.make_app(service), "127.0.0.1", 0)
    http.start()
    yield f"http://127.0.0.1:{http.port}"
    http.stop(force=True)


@pytest.fixture(scope="module")
def files(service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    table = pianos.random_notes(12, 2, seed=5)
    piano_roll.save_midi(folder / "piece.mid", piano_roll.to_sequence(table))
    audio_lib.save(folder / "clip.wav", pianos.clip(service.model))
    (folder / "bad.mid").write_bytes(b"MThd and then nothing that belongs there")
    return folder


@pytest.fixture()
def page(browser, address):
    """The page, which must load nothing from elsewhere and raise nothing."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    opened, faults = context.new_page(), []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error"
              and not message.text.startswith("Failed to load resource") else None)
    opened.on("request", lambda request: None if request.url.startswith(address)
              else faults.append(request.url))
    opened.goto(address)
    opened.wait_for_selector("#slider-room_time", state="attached")
    yield opened
    context.close()
    assert not faults


def choose(page, files, steps="0"):
    page.set_input_files("#content-file", files / "piece.mid")
    page.set_input_files("#style-file", files / "clip.wav")
    page.locator("summary").click()
    page.select_option("#steps", steps)
    page.wait_for_selector("#play:enabled")


def run(page, files):
    choose(page, files)
    page.click("#play")
    page.wait_for_selector("#result", state="visible")
    loaded(page)


def until(page, expression, argument=None):
    """Waits; the page's security policy forbids what Playwright would wait with."""
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, expression
        time.sleep(0.05)


def loaded(page):
    until(page, "document.getElementById('audio').readyState >= 2")


def heard(page):
    """The samples behind the audio element."""
    source = page.evaluate("document.getElementById('audio').currentSrc")
    samples, rate = soundfile.read(io.BytesIO(page.request.get(source).body()))
    duration = page.evaluate("document.getElementById('audio').duration")
    assert duration == pytest.approx(len(samples) / rate, abs=0.01)
    return samples


def focused(page):
    return page.evaluate("document.activeElement.id")


def test_upload_run_listen_download(page, files, service):
    run(page, files)
    assert page.locator("#result-title").inner_text() == "piece on clip"
    samples = heard(page)
    assert np.sqrt(np.mean(samples ** 2)) > 0.01
    until(page, "document.getElementById('audio').currentTime > 0.2")  # it plays
    with page.expect_download() as download:
        page.click("text=Download WAV")
    assert download.value.suggested_filename == "piece on clip.wav"
    assert np.array_equal(soundfile.read(download.value.path())[0], samples)
    page.get_by_label("Recording of the piano").check()
    loaded(page)
    assert len(heard(page)) == 4 * service.model.sample_rate
    assert "12 notes" in page.locator("#roll").get_attribute("aria-label")
    painted = page.evaluate("""() => { const c = document.getElementById('roll');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return d.filter((v, i) => i % 4 === 3 && v > 0).length }""")
    assert painted > 1000
    assert page.locator("#charts svg polyline").count() == 8
    for image in page.locator(".spectrogram img").all():
        assert image.evaluate("i => i.complete && i.naturalWidth > 10 && i.naturalHeight > 10")
    assert page.locator(".slider.changed").count() == 0


def test_a_slider_changes_charts_and_sound_and_the_sound_before_stays(page, files):
    run(page, files)
    before = heard(page)
    curve = page.locator("#charts .now").first
    flat = curve.get_attribute("points")
    page.focus("#slider-pitch_cents")
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    assert page.locator("label[for=slider-pitch_cents] + output").inner_text() == "+40 cents"
    until(page, "p => document.querySelector('#charts .now').getAttribute('points') !== p", flat)
    page.click("#replay")
    page.get_by_label("Before the sliders").wait_for()
    loaded(page)
    after = heard(page)
    assert len(after) == len(before) and np.max(np.abs(after - before)) > 0.01
    page.get_by_label("Before the sliders").check()
    loaded(page)
    assert np.array_equal(heard(page), before)
    page.click("#reset")
    assert page.locator(".slider.changed").count() == 0


def test_a_bad_file_shows_an_error_and_the_page_goes_on(page, files):
    page.set_input_files("#content-file", files / "bad.mid")
    alert = page.get_by_role("alert")
    alert.locator("span").wait_for()
    assert "“bad” cannot be used here" in alert.inner_text()
    assert "Expected a MIDI file" in alert.inner_text() and page.locator("#play").is_disabled()
    (files / "large.wav").write_bytes(bytes(1 << 21))
    page.set_input_files("#style-file", files / "large.wav")
    until(page, "document.getElementById('alert').innerText.includes('at most 1 MiB')")
    run(page, files)
    assert not alert.is_visible() and len(heard(page))


def test_a_job_that_fails_shows_why_and_the_page_goes_on(page, files, service, monkeypatch):
    def fail(job, *_):
        raise ValueError("The clip is <b>odd</b>.")

    choose(page, files)
    with monkeypatch.context() as patch:
        patch.setattr(service.work, "transfer", fail)
        page.click("#play")
        page.get_by_role("alert").locator("span").wait_for()
        assert "The clip is <b>odd</b>." in page.get_by_role("alert").inner_text()
    page.click("#play")
    page.wait_for_selector("#result", state="visible")
    assert not page.get_by_role("alert").is_visible()


def test_a_job_shows_its_progress_and_can_be_cancelled(page, files, service, monkeypatch):
    ended = threading.Event()

    def slow(job, *_):
        try:
            for _ in range(3000):
                job.progress("playing", 30, 100)
                ended.wait(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(service.work, "transfer", slow)
    choose(page, files)
    page.click("#play")
    page.wait_for_selector("#stages .now")
    assert page.locator("#stages .now").inner_text() == "Playing"
    assert page.locator("#elapsed").inner_text().startswith("30 %")
    until(page, "document.getElementById('live').textContent === 'Playing'")
    assert 0.2 < page.locator("#bar").evaluate("bar => bar.value") < 1
    assert page.locator("#play").is_disabled()
    page.click("#cancel")
    page.wait_for_selector("#progress", state="hidden")
    assert ended.wait(5) and page.locator("#play").is_enabled()
    assert focused(page) == "play" and page.locator("#result").is_hidden()


def test_everything_can_be_done_with_the_keyboard(page, files):
    def tab_to(wanted):
        for _ in range(60):
            page.keyboard.press("Tab")
            if focused(page) == wanted:
                return
        raise AssertionError(f"the Tab key does not reach {wanted}")

    choosers = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    for role, name in (("content", "piece.mid"), ("style", "clip.wav")):
        tab_to(f"{role}-file")
        ring = page.locator(f"#{role} .drop").evaluate("d => getComputedStyle(d).outlineStyle")
        assert ring == "solid"
        page.keyboard.press("Enter")
        end = time.monotonic() + TIMEOUT_MS / 1000
        while not choosers and time.monotonic() < end:
            page.wait_for_timeout(20)
        choosers.pop().set_files(files / name)
        page.wait_for_selector(f"#{role} .chosen strong")
    while page.evaluate("document.activeElement.tagName") != "SUMMARY":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    tab_to("steps")
    page.keyboard.press("End")  # not at all
    tab_to("play")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#result", state="visible")
    until(page, "document.activeElement.id === 'result-title'")
    loaded(page)
    tab_to("slider-room_db")
    page.keyboard.press("End")
    page.keyboard.press("Shift+Tab")
    while focused(page) != "replay":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_label("Before the sliders").wait_for()


def test_files_can_be_dropped(page, files):
    data = list((files / "piece.mid").read_bytes())
    page.evaluate("""bytes => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.mid'));
        document.querySelector('#content .drop').dispatchEvent(
            new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }""", data)
    page.wait_for_selector("#content .chosen strong")
    assert "dropped — MIDI" in page.locator("#content .chosen").inner_text()


def test_an_example_is_chosen_and_a_file_replaces_it(page, files):
    page.get_by_label("Schumann, Träumerei").check()
    assert "116 notes" in page.locator("#content .chosen").inner_text()
    page.set_input_files("#content-file", files / "piece.mid")
    until(page, "document.querySelector('#content .chosen').innerText.includes('12 notes')")
    assert not page.get_by_label("Schumann, Träumerei").is_checked()


def test_narrow_screens_need_no_sideways_scrolling_and_every_control_has_a_name(page, files):
    run(page, files)
    for width in (320, 768):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = page.evaluate("""() => [...document.querySelectorAll(
        'input, select, button, a, audio, canvas, progress, svg, img')].filter(
        e => !(e.labels && e.labels.length) && !e.textContent.trim() && !e.ariaLabel
             && !e.getAttribute('aria-labelledby') && e.getAttribute('alt') === null
        ).map(e => e.outerHTML)""")
    assert nameless == []


def test_an_unreachable_server_is_reported(page, files):
    page.route("**/api/uploads*", lambda route: route.abort())
    page.set_input_files("#content-file", files / "piece.mid")
    page.get_by_role("alert").locator("span").wait_for()
    assert "does not answer" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(scheme):
    """Contrasts of WCAG 2.1 AA: 4.5 for text."""
    style = (api.WEB / "app.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[0]))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[1]))

    def luminance(name):
        rgb = np.array([int(found[name][i:i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for text, ground in (("ink", "card"), ("ink", "paper"), ("quiet", "card"), ("quiet", "paper"),
                         ("accent", "card"), ("on-accent", "accent"), ("bad", "bad-wash"),
                         ("warn", "warn-wash"), ("quiet", "wash")):
        low, high = sorted((luminance(text), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
