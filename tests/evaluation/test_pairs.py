"""Pairs hold the whole truth, never share notes with their style, and are rendered once."""

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.evaluation import pairs
from tests.evaluation import evaluation_pianos as pianos


def table(onsets, pedal=((), ())):
    onsets = np.array(onsets, np.float64)
    keys = np.arange(len(onsets), dtype=np.int32) + 30
    none = (np.zeros(0), np.zeros(0, np.float32))
    curve = (np.array(pedal[0], np.float64), np.array(pedal[1], np.float32))
    return piano_roll.NoteTable(keys, np.full(len(onsets), 0.5, np.float32), onsets, onsets + 1.5,
                                onsets + 1.5, piano_roll.Pedals(curve, none, none))


def test_an_excerpt_holds_the_notes_struck_in_it_and_starts_at_zero():
    cut = pairs.excerpt(table([0.5, 2.0, 3.0, 4.0]), 2.0, 2.0)
    assert cut.key.tolist() == [31, 32]
    assert cut.onset_secs.tolist() == [0.0, 1.0]
    assert cut.damped_secs.tolist() == [1.5, 2.5]


def test_an_excerpt_keeps_the_pedal_that_was_already_down():
    cut = pairs.excerpt(table([0.5, 2.5], ((0.1, 1.0, 3.0, 9.0), (0.2, 1.0, 0.0, 1.0))), 2.0, 2.0)
    times, values = cut.pedals.sustain
    assert times.tolist() == [0.0, 1.0]
    assert values.tolist() == [1.0, 0.0]


def test_the_style_plays_another_piece_from_another_folder_if_there_is_one():
    tasks = pairs.choose_tasks(pianos.pieces(), 3.0, 2.0)
    styles = {task.description["content"]: task.description["style"] for task in tasks}
    assert styles["a/one"] == styles["a/two"] == "b/three"
    assert styles["b/three"].startswith("a/")
    for task in tasks:
        assert len(task.content) >= 3 and len(task.style) >= 2


def test_one_seed_gives_one_choice_and_fewer_contents_the_same_excerpts():
    tasks = {task.name: task for task in pairs.choose_tasks(pianos.pieces(), 3.0, 2.0, seed=5)}
    again = pairs.choose_tasks(pianos.pieces(), 3.0, 2.0, max_contents=1, seed=5)
    assert len(again) == 1
    assert again[0].description == tasks[again[0].name].description
    others = pairs.choose_tasks(pianos.pieces(), 3.0, 2.0, seed=6)
    assert [task.description for task in others] != [task.description for task in tasks.values()]


def test_one_piece_is_not_enough():
    with pytest.raises(ValueError, match="at least two pieces.*got 1"):
        pairs.choose_tasks({"a": pianos.piece(60)})


def test_a_piece_without_notes_is_named():
    with pytest.raises(ValueError, match="empty has no piano notes"):
        pairs.choose_tasks({"a": pianos.piece(60), "empty": pianos.piece(60, 0)})


def test_pairs_are_rendered_once_and_again_when_conditions_change(tmp_path):
    tasks = pairs.choose_tasks(pianos.pieces(), 3.0, 2.0, 1)
    piano = pianos.Piano(1.0)

    def prepare(sample_rate):
        return list(pairs.prepare(tasks, piano.render, piano.timbre_id, tmp_path, sample_rate,
                                  3.0, 2.0))

    (pair, fresh), = prepare(16_000)
    assert fresh and piano.calls == 2
    assert len(pair.truth.samples) == 48_000 and len(pair.style.samples) == 32_000
    assert pair.content_notes.key.tolist() == tasks[0].content.key.tolist()
    np.testing.assert_allclose(pair.style_notes.onset_secs, tasks[0].style.onset_secs, atol=2e-3)
    assert prepare(16_000) == [(pair, False)] and piano.calls == 2
    assert prepare(24_000)[0][1] and piano.calls == 4
    assert pairs.find_pairs(tmp_path) == [pair]


def test_a_failed_rendering_leaves_no_pair_behind(tmp_path):
    def fails(note_sequence, sample_rate):
        raise RuntimeError("no sound")

    tasks = pairs.choose_tasks(pianos.pieces(), 3.0, 2.0, 1)
    with pytest.raises(RuntimeError, match="no sound"):
        list(pairs.prepare(tasks, fails, "broken", tmp_path, 16_000))
    assert not list((tmp_path / "broken").iterdir())
    with pytest.raises(ValueError, match="holds no pairs"):
        pairs.find_pairs(tmp_path)


def test_other_pianos_play_the_same_notes_once_for_all_pairs_of_them(tmp_path):
    found = pianos.prepared(tmp_path / "pairs", max_contents=1)
    other = pianos.Piano(3.0)
    fresh = [pairs.render_notes(pair, other.render, "other", tmp_path / "renderings")
             for pair in found]
    assert fresh == [True, False] and other.calls == 2
    audio = pairs.rendering(found[1], "other", tmp_path / "renderings")
    assert len(audio.samples) == len(found[1].truth.samples)
    style = pairs.rendering(found[1], "other", tmp_path / "renderings", "style.flac")
    assert len(style.samples) == len(found[1].style.samples)
