"""A listening test is blind, level and its answers are counted right; a browser fills it in."""

import json

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer.audio import Audio
from style_transfer.evaluation import intervals
from style_transfer.evaluation.listening import page, results
from style_transfer.evaluation.pairs import Pair
from tests.evaluation import evaluation_signals as signals

SYSTEMS = ("near", "far")
SECS = 1.5
RATE = 16_000
NOTES = ((0.1, 57, 0.9, 0.7), (0.6, 62, 0.7, 1.2), (1.4, 65, 0.9, 2.6))


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    """A test of two systems on two pairs: its folder, the pairs, and where their audio is."""
    root = tmp_path_factory.mktemp("listening")
    pairs = []
    for name, notes in (("one", signals.MELODY), ("two", NOTES)):
        pairs.append(Pair("piano", name, root / "pairs" / name))
        for place, tilt in ((f"pairs/{name}/truth", 1.0), (f"near/{name}", 1.1),
                            (f"far/{name}", 2.5)):
            path = root / f"{place}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = 0.1 * tilt * signals.tones(notes, 3.0, RATE, tilt=tilt)
            audio_lib.save(path, Audio(samples, RATE))
    outputs = {system: (lambda pair, system=system: root / system / f"{pair.content}.flac")
               for system in SYSTEMS}
    page.write(root / "test", pairs, outputs, secs=SECS, seed=4)
    return root / "test", pairs, outputs


def trials(folder):
    text = (folder / "page" / "trials.js").read_text()
    return json.loads(text.removeprefix("window.LISTENING_TEST = ").rstrip(";\n"))


def test_the_page_names_no_system_and_the_key_names_all(listening):
    folder, pairs, _ = listening
    given, key = trials(folder), json.loads((folder / "key.json").read_text())
    everything = "".join(path.read_text() for path in (folder / "page").glob("*.*"))
    assert not any(f'"{name}"' in everything for name in (*SYSTEMS, page.ANCHOR))
    assert [trial["kind"] for trial in given["trials"]].count("mushra") == 2
    for trial in given["trials"]:
        named = key["trials"][trial["id"]]["stimuli"]
        assert {stimulus["id"] for stimulus in trial["stimuli"]} == set(named)
        expected = {page.REFERENCE, page.ANCHOR, *SYSTEMS} if trial["kind"] == "mushra" else set(
            SYSTEMS)
        assert set(named.values()) == expected
        hidden = [s["file"] for s in trial["stimuli"] if named[s["id"]] == page.REFERENCE]
        assert not hidden or hidden == [trial["reference"]]


def test_sounds_are_equally_loud_and_long_and_the_anchor_is_dull(listening):
    folder, _, _ = listening
    given, key = trials(folder), json.loads((folder / "key.json").read_text())
    for trial in given["trials"]:
        clips = {key["trials"][trial["id"]]["stimuli"][s["id"]]:
                 audio_lib.load(folder / "page" / s["file"]) for s in trial["stimuli"]}
        levels = [clip.rms_db for clip in clips.values()]
        assert max(levels) - min(levels) < 0.1
        assert {len(clip.samples) for clip in clips.values()} == {int(SECS * RATE)}
        if page.ANCHOR in clips:
            power = {name: np.abs(np.fft.rfft(clip.samples)) ** 2 for name, clip in clips.items()}
            above = int(1.3 * page.ANCHOR_HZ * SECS)
            shares = {name: p[above:].sum() / p.sum() for name, p in power.items()}
            assert shares[page.ANCHOR] < 1e-3 * shares[page.REFERENCE]


def test_one_seed_gives_one_test_and_another_another(listening, tmp_path):
    folder, pairs, outputs = listening
    for name, seed in (("same", 4), ("other", 5)):
        page.write(tmp_path / name, pairs, outputs, secs=SECS, seed=seed)
    assert trials(tmp_path / "same") == trials(folder)
    assert trials(tmp_path / "other")["id"] != trials(folder)["id"]


def test_too_few_and_too_many_systems_are_refused(listening, tmp_path):
    _, pairs, outputs = listening
    with pytest.raises(ValueError, match="two systems or more"):
        page.write(tmp_path, pairs, {"near": outputs["near"]})
    with pytest.raises(ValueError, match="--listening_systems"):
        page.write(tmp_path, pairs, {f"s{i}": outputs["near"] for i in range(11)})
    assert not list(tmp_path.iterdir())


def answers(folder, listener, score, closer):
    """What the page would save: scores by system, and the system that is always preferred."""
    given, key = trials(folder), json.loads((folder / "key.json").read_text())
    done = []
    for trial in given["trials"]:
        named = key["trials"][trial["id"]]["stimuli"]
        ids = {system: stimulus for stimulus, system in named.items()}
        done.append({"id": trial["id"], "kind": trial["kind"],
                     **({"choice": ids.get(closer, "")} if trial["kind"] == "ab" else
                        {"ratings": {ids[name]: value for name, value in score.items()}})})
    return {"test": given["id"], "listener": listener, "trials": done}


@pytest.fixture
def answered(listening, tmp_path):
    def write(name, **changes):
        score = {page.REFERENCE: 100, page.ANCHOR: 20, "near": 80, "far": 40}
        given = answers(listening[0], name, {**score, **changes.pop("score", {})},
                        changes.pop("closer", "near"))
        (tmp_path / f"{name}.json").write_text(json.dumps({**given, **changes}))

    return tmp_path, write


def test_scores_and_preferences_are_counted(listening, answered):
    folder, write = answered
    write("ann")
    write("ben", score={"near": 70}, closer="far")
    write("cem", closer=None)
    summary = results.summarize(*results.load(listening[0], [folder]))
    assert list(summary["scores"]) == [page.REFERENCE, "near", "far", page.ANCHOR]
    near = summary["scores"]["near"]
    assert near["mean"] == pytest.approx(230 / 3) and near["count"] == 6
    assert near["interval"][0] == pytest.approx(70) and near["interval"][1] == pytest.approx(80)
    assert summary["scores"]["far"]["interval"] == pytest.approx((40, 40))
    [preference] = summary["preferences"]
    assert preference["systems"] == ["far", "near"]
    count = preference["better"][0]
    assert preference["better"] == [count, count] and preference["undecided"] == count > 0
    assert preference["share"] == 0.5 and preference["p_value"] == 1
    assert preference["interval"][0] < 0.5 < preference["interval"][1]
    assert "near" in results.text(summary)


def test_wilsons_interval_of_ten_out_of_ten(listening, answered):
    choices = [{"listener": "a", "pair": "p", "systems": ["far", "near"], "better": "near"}] * 10
    [preference] = results.summarize([], choices)["preferences"]
    assert preference["share"] == 0
    # z^2 / (n + z^2)
    assert preference["interval"] == pytest.approx((0, 1.96 ** 2 / (10 + 1.96 ** 2)), abs=1e-4)
    assert preference["p_value"] == pytest.approx(2 / 2 ** 10)


def test_who_does_not_hear_the_hidden_reference_is_left_out(listening, answered):
    folder, write = answered
    write("ann")
    write("deaf", score={page.REFERENCE: 60, "near": 0}, closer="far")
    summary = results.summarize(*results.load(listening[0], [folder]))
    assert summary["left_out"] == ["deaf"]
    assert summary["scores"]["near"]["mean"] == 80
    assert summary["preferences"][0]["better"][0] == 0


def test_answers_to_another_test_and_other_files_are_refused(listening, answered):
    folder, write = answered
    write("ann", test="0123")
    with pytest.raises(ValueError, match="answers another test"):
        results.load(listening[0], [folder])
    (folder / "ann.json").write_text("[]")
    with pytest.raises(ValueError, match="no file that the page"):
        results.load(listening[0], [folder / "ann.json"])
    (folder / "ann.json").unlink()
    with pytest.raises(FileNotFoundError, match="no answers"):
        results.load(listening[0], [folder])


def test_intervals_cover_the_mean_of_crossed_effects_as_often_as_they_say():
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(8 * 10), 10)
    hits, narrow = 0, 0
    for trial in range(80):
        values = (rng.normal(0, 1, 8)[rows] + rng.normal(0, 1, 10)[columns]
                  + rng.normal(0, 0.5, 80))
        low, high = intervals.of_mean(values, rows, columns, seed=trial)
        hits += low <= 0 <= high
        half = 1.96 * values.std() / np.sqrt(80)
        narrow += abs(values.mean()) <= half
    assert 0.85 <= hits / 80 <= 0.99
    assert narrow / 80 < 0.75, "as if all were independent"


def test_one_value_has_no_interval():
    assert intervals.of_mean([1.0], ["a"], ["b"]) is None


@pytest.fixture(scope="module")
def opened(listening, browser):
    """Opens the page from the disk at a size; it must load nothing from elsewhere."""
    faults, contexts = [], []

    def open_page(width=1280, height=900, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height},
                                            **options))
        contexts[-1].set_default_timeout(20_000)
        made = contexts[-1].new_page()
        made.on("pageerror", lambda error: faults.append(str(error)))
        made.on("console", lambda line: faults.append(line.text) if line.type == "error"
                and not line.text.startswith("Failed to load resource") else None)
        made.on("request", lambda request: None if request.url.startswith(("file:", "data:",
                "blob:")) else faults.append(request.url))
        made.goto((listening[0] / "page" / "index.html").as_uri())
        return made

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def begin(opened_page, name):
    opened_page.fill("#listener", name)
    opened_page.keyboard.press("Enter")
    opened_page.wait_for_selector("#trial", state="visible")


def order(opened_page):
    return opened_page.evaluate("trials.map(t => [t.id, ...t.stimuli.map(s => s.id)])")


def test_a_browser_fills_it_in_with_the_keyboard_alone(listening, opened, tmp_path):
    folder, _, _ = listening
    key = json.loads((folder / "key.json").read_text())["trials"]
    wanted = {page.REFERENCE: 100, "near": 70, "far": 30, page.ANCHOR: 0}
    tab = opened()
    begin(tab, "Ann <b>")
    for name, *stimuli in order(tab):
        assert tab.locator("#next").is_disabled()
        named = [key[name]["stimuli"][stimulus] for stimulus in stimuli]
        if key[name]["kind"] == "mushra":
            for i, system in enumerate(named):
                tab.keyboard.press(str(i + 1))
                tab.wait_for_function("player.current && player.current.currentTime > 0")
                tab.keyboard.press("ArrowLeft")  # a slider that is not moved does not count
                tab.keyboard.press("Home" if wanted[system] < 50 else "End")
                for _ in range(abs(wanted[system] - (0 if wanted[system] < 50 else 100)) // 10):
                    tab.keyboard.press("PageUp" if wanted[system] < 50 else "PageDown")
        else:
            tab.keyboard.press("a")
            tab.keyboard.press("b")
            tab.keyboard.press("r")
            assert tab.get_attribute("#reference", "aria-pressed") == "true"
            tab.keyboard.press(str(named.index("near") + 1))
        assert tab.locator("#next").is_enabled(), tab.inner_text("#missing")
        tab.keyboard.press("Enter")
    with tab.expect_download() as download:
        tab.click("#save")
    assert download.value.suggested_filename == "Ann_b_.json"
    path = tmp_path / "ann.json"
    download.value.save_as(path)
    assert json.loads(path.read_text()) == {
        **json.loads(tab.input_value("#answers")), "listener": "Ann <b>"}
    summary = results.summarize(*results.load(folder, [path]))
    assert {name: found["mean"] for name, found in summary["scores"].items()} == wanted
    [preference] = summary["preferences"]
    assert preference["better"][preference["systems"].index("far")] == 0
    assert preference["better"][preference["systems"].index("near")] > 0


def test_switching_keeps_the_place_and_only_one_sounds(opened):
    tab = opened()
    begin(tab, "place")
    tab.keyboard.press("1")
    tab.wait_for_function("player.current.currentTime > 0.1")
    before, after, stopped = tab.evaluate("""() => {
        const first = player.current;
        document.querySelectorAll('.row button')[1].click();
        return [first.currentTime, player.current.currentTime, first.paused];
    }""")
    assert after == pytest.approx(before, abs=0.05) and stopped
    tab.wait_for_function("!player.current.paused")
    assert tab.evaluate("[...player.sounds.values()].filter(s => !s.paused).length") == 1
    tab.keyboard.press("s")
    assert tab.evaluate("[...player.sounds.values()].every(s => s.paused)")


def test_the_order_is_the_listeners_own_and_the_same_again(opened):
    orders = []
    for name in ("Ann", "Ann", "Ben"):
        tab = opened()
        begin(tab, name)
        orders.append(order(tab))
    assert orders[0] == orders[1] != orders[2]
    assert sorted(trial[0] for trial in orders[0]) == sorted(trial[0] for trial in orders[2])


def test_answers_survive_a_reload(opened):
    tab = opened()
    begin(tab, "again")
    tab.evaluate("state.done.push({id: trials[0].id}); keep()")
    tab.reload()
    assert tab.is_visible("#resumed") and tab.input_value("#listener") == "again"
    tab.click("#begin button")
    assert tab.inner_text("#place").startswith("2 of")


def test_a_phone_taps_through_without_sideways_scrolling(listening, opened):
    tab = opened(390, 844, has_touch=True, is_mobile=True)
    tab.fill("#listener", "phone")
    tab.tap("#begin button")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    for row in tab.locator(".row").all():
        row.locator("button").tap()
        box = row.locator("input").bounding_box()
        assert box["height"] >= 44
        tab.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    assert tab.locator("#next").is_enabled(), tab.inner_text("#missing")
    ratings = tab.evaluate("Object.values(answer.ratings)")
    assert len(ratings) == 4 and all(70 <= rating <= 90 for rating in ratings)
    tab.tap("#next")
    assert tab.inner_text("#place").startswith("2 of")


def test_a_missing_sound_is_said(listening, opened):
    tab = opened()
    tab.evaluate("play('sounds/not-there.flac')")
    tab.wait_for_selector("#fault", state="visible")
    assert "cannot be played" in tab.inner_text("#fault") or "does not start" in tab.inner_text(
        "#fault")
