"""Soundfonts: what is read from the file itself, and rendering where FluidSynth is installed."""

import io
import pathlib
import shutil
import struct

import mido
import numpy as np
import pytest

from style_transfer.piano_roll import load_midi, note_table
from style_transfer.pipelines.rendering import renderers_from, soundfont
from style_transfer.pipelines.rendering.midi_out import midi_bytes
from style_transfer.pipelines.rendering.soundfont import SoundfontRenderer
from tests.pipelines.rendering.cases import SAMPLE_RATE, cents, loudest_hz, pitch_hz, rms, sequence

_PLACES = [pathlib.Path("/usr/share", folder, "TimGM6mb.sf2")
           for folder in ("sounds/sf2", "soundfonts")]
TIMGM6MB = next((path for path in _PLACES if path.is_file()), None)
needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None or TIMGM6MB is None,
    reason="needs FluidSynth and a soundfont: apt install fluidsynth timgm6mb-soundfont")


def _chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _font(path, presets):
    """A soundfont of nothing but names."""
    records = [struct.pack("<20sHHHIII", name.encode(), program, bank, 0, 0, 0, 0)
               for bank, program, name in [*presets, (0, 0, "EOP")]]
    info = _chunk(b"LIST", b"INFO" + _chunk(b"ICOP", b"public domain\0"))
    samples = _chunk(b"LIST", b"sdta" + _chunk(b"smpl", bytes(1001)))
    data = b"sfbk" + info + samples + _chunk(b"LIST", b"pdta" + _chunk(b"phdr", b"".join(records)))
    path.write_bytes(_chunk(b"RIFF", data))
    return path


def test_piano_presets_are_those_of_programs_0_to_7_in_bank_0(tmp_path):
    font = _font(tmp_path / "My Font.sf2", [(0, 4, "E.Piano 1"), (0, 0, "Grand"), (0, 8, "Celesta"),
                                            (128, 1, "Drums")])
    pianos = renderers_from(font)
    assert [piano.timbre_id for piano in pianos] == ["my_font_000_grand", "my_font_004_e_piano_1"]
    assert [piano.program for piano in pianos] == [0, 4]
    assert pianos[0].licence == "public domain"
    [dry, _] = renderers_from(font, dry=True)
    assert dry.timbre_id == "my_font_000_grand_dry" and not dry.effects


def test_fonts_without_pianos_and_other_files_are_errors(tmp_path):
    with pytest.raises(ValueError, match="none of the piano presets"):
        renderers_from(_font(tmp_path / "a.sf2", [(0, 40, "Violin")]))
    with pytest.raises(ValueError, match="no program 3"):
        SoundfontRenderer(_font(tmp_path / "b.sf2", [(0, 0, "Grand")]), 3)
    (tmp_path / "c.sf2").write_bytes(b"not a font")
    with pytest.raises(ValueError, match="no soundfont"):
        renderers_from(tmp_path / "c.sf2")
    with pytest.raises(FileNotFoundError, match="apt install"):
        soundfont.read_soundfont(tmp_path / "d.sf2")


def test_a_missing_fluidsynth_says_how_to_install_it(tmp_path, monkeypatch):
    [piano] = renderers_from(_font(tmp_path / "a.sf2", [(0, 0, "Grand")]))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="apt install fluidsynth.*brew install"):
        piano.render(sequence([(60, 90, 0, 1)]), SAMPLE_RATE)


def test_a_failing_fluidsynth_is_an_error(tmp_path, monkeypatch):
    fake = tmp_path / "fluidsynth"
    fake.write_text("#!/bin/sh\necho 'it broke' >&2\nexit 3\n")
    fake.chmod(0o755)
    [piano] = renderers_from(_font(tmp_path / "a.sf2", [(0, 0, "Grand")]))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="status 3: it broke"):
        piano.render(sequence([(60, 90, 0, 1)]), SAMPLE_RATE)


def test_midi_keeps_program_pedals_and_restruck_notes(tmp_path):
    table = note_table(sequence(
        [(60, 90, 0.0, 2.0), (60, 70, 1.0, 1.5), (64, 50, 0.25, 0.75)],
        [(64, 0.5, 100), (64, 1.75, 0), (66, 0.6, 127), (66, 1.0, 0), (67, 0.0, 80)]))
    data = midi_bytes(table, program=5, tail_secs=3.0)
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    file = mido.MidiFile(path)
    messages = [message for message in file.tracks[0] if not message.is_meta]
    assert [m.program for m in messages if m.type == "program_change"] == [5]
    # The last damper falls at 2.0, with the last release of the key that is held twice.
    assert file.length == pytest.approx(5.0, abs=0.01)
    again = note_table(load_midi(data))
    np.testing.assert_allclose(again.onset_secs, table.onset_secs, atol=2e-4)
    np.testing.assert_array_equal(again.velocity, table.velocity)
    np.testing.assert_allclose(again.damped_secs[:2], table.damped_secs[:2], atol=2e-4)
    # The key struck again at 1 s is let go there, or its first note-off would end the second.
    assert again.release_secs[0] == pytest.approx(1.0, abs=2e-4)
    for pedal in ("sustain", "sostenuto", "soft"):
        before, after = getattr(table.pedals, pedal), getattr(again.pedals, pedal)
        np.testing.assert_allclose(after[0][:len(before[0])], before[0], atol=2e-4)
        np.testing.assert_allclose(after[1][:len(before[1])], before[1], atol=1e-6)
        assert after[1][-1] == 0


@needs_fluidsynth
def test_fluidsynth_renders_in_tune_on_time_and_without_clipping():
    piano = SoundfontRenderer(TIMGM6MB, 0)
    audio = piano.render(sequence([(57, 100, 0.5, 1.5)]), SAMPLE_RATE)
    assert rms(audio, 0.0, 0.49) < 1e-3 < rms(audio, 0.55, 0.8)
    harmonic = loudest_hz(audio, 0.7, 1.4) / pitch_hz(57)
    assert abs(cents(harmonic, round(harmonic))) < 20
    loud = piano.render(sequence([(p, 127, 0, 2) for p in range(30, 100, 2)]), SAMPLE_RATE)
    assert 0.5 < np.max(np.abs(loud.samples)) <= 0.981


@needs_fluidsynth
def test_fluidsynth_presets_effects_and_pedal_are_heard():
    notes = sequence([(60, 90, 0.0, 0.3)])
    pedal = sequence([(60, 90, 0.0, 0.3)], [(64, 0.0, 127), (64, 2.0, 0)])
    grand, harpsichord = (SoundfontRenderer(TIMGM6MB, program) for program in (0, 6))
    first = grand.render(notes, SAMPLE_RATE)
    np.testing.assert_array_equal(first.samples, grand.render(notes, SAMPLE_RATE).samples)
    def difference(audio):
        count = min(len(first.samples), len(audio.samples), SAMPLE_RATE // 2)
        gap = first.samples[:count] - audio.samples[:count]
        return np.sqrt(np.mean(gap ** 2) / np.mean(first.samples[:count] ** 2))
    assert difference(harpsichord.render(notes, SAMPLE_RATE)) > 0.5
    dry = SoundfontRenderer(TIMGM6MB, 0, effects=False).render(notes, SAMPLE_RATE)
    assert 0.01 < difference(dry) < 1
    assert rms(grand.render(pedal, SAMPLE_RATE), 1.0, 1.8) > 5 * rms(first, 1.0, 1.8)


def test_any_preset_is_named_by_bank_and_program(tmp_path):
    font = _font(tmp_path / "a, b.sf2", [(0, 0, "Grand"), (8, 5, "Upright"), (128, 0, "Kit")])
    [piano] = renderers_from(f"{font}:8:5")
    assert piano.timbre_id == "a_b_8_005_upright" and (piano.bank, piano.program) == (8, 5)
    with pytest.raises(ValueError, match=r"no program 9 in bank 8: .* of 0:0 Grand, 8:5"):
        renderers_from(f"{font}:8:9")
    with pytest.raises(FileNotFoundError, match="gone"):
        renderers_from(f"{tmp_path}/gone.sf2:0:0")
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(
        note_table(sequence([(60, 90, 0, 1)])), 5, bank=8 * 128 + 3)))
    changes = [(m.control, m.value) for m in file.tracks[0] if m.type == "control_change"]
    assert changes[:2] == [(0, 8), (32, 3)]


@needs_fluidsynth
def test_a_preset_of_another_bank_is_heard():
    banked = [(bank, program) for bank, program, _ in soundfont.read_soundfont(TIMGM6MB).presets
              if bank]
    assert banked, "nothing to choose"
    bank, program = banked[0]
    notes = sequence([(60, 90, 0.0, 0.3)])
    [piano] = renderers_from(f"{TIMGM6MB}:{bank}:{program}")
    heard = piano.render(notes, SAMPLE_RATE).samples
    usual = SoundfontRenderer(TIMGM6MB, 0).render(notes, SAMPLE_RATE).samples
    count = min(len(heard), len(usual), SAMPLE_RATE // 4)
    assert np.mean(np.square(heard)) > 1e-7
    assert np.corrcoef(heard[:count], usual[:count])[0, 1] < 0.5


@needs_fluidsynth
def test_a_real_soundfont_has_eight_piano_presets():
    assert [piano.program for piano in renderers_from(TIMGM6MB)] == list(range(8))
