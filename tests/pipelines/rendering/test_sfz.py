"""The SFZ sampler, on instruments of sine waves that each test writes."""

import struct
import unicodedata

import numpy as np
import pytest
import soundfile

from style_transfer.pipelines.rendering import (
    Renderer,
    renderers_from,
    sfz_parser,
    sfz_region,
    sfz_samples,
)
from style_transfer.pipelines.rendering.sfz import SfzRenderer, falling
from tests.pipelines.rendering.cases import SAMPLE_RATE, cents, loudest_hz, pitch_hz, rms, sequence

SOURCE_RATE = 44_100


def _sine(path, freq_hz, secs=3.0, level=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(secs * SOURCE_RATE)) / SOURCE_RATE
    soundfile.write(path, level * np.sin(2 * np.pi * freq_hz * time), SOURCE_RATE)


@pytest.fixture
def piano(tmp_path):
    """Makes an SFZ file beside a sample A4.wav (440 Hz) and gives its renderer."""
    _sine(tmp_path / "Samples" / "A4.wav", 440.0)

    def make(text):
        file = tmp_path / "My Piano.sfz"
        file.write_text("<control> default_path=Samples/\n" + text)
        return SfzRenderer(file)

    return make


PLAIN = "<region> sample=A4.wav key=69 lokey=21 hikey=108 ampeg_release=0.05\n"


def test_defines_includes_comments_and_inheritance_are_resolved(tmp_path):
    (tmp_path / "Data").mkdir()
    (tmp_path / "Data" / "PP.txt").write_text("<region> key=c4 sample=PP D#1.$EXT volume=2 // x\n")
    (tmp_path / "Data" / "FF.txt").write_text("<region> key=61 sample=FF.$EXT\n")
    file = tmp_path / "a.sfz"
    file.write_text(
        "#define $EXT flac\n#define $REL 72\n#define $RELEASE 73\n/* many\nlines */\n"
        "<control>\ndefault_path=S/ // where\nset_hdcc$RELEASE=0.25\n"
        "<global>\nvolume=-1\ntune=3\nampeg_release_oncc$RELEASE=2\n"
        '<group> lovel=1 hivel=40\n#define $DYN PP\n#include "Data/$DYN.txt"\n'
        '<group> lovel=41\n#define $DYN FF\n#include "Data/$DYN.txt"\n'
        "<curve>curve_index=11\nv000=0\nv064=.3\n")
    instrument = sfz_parser.parse(file)
    first, second = instrument.regions
    assert first["sample"] == "S/PP D#1.flac" and second["sample"] == "S/FF.flac"
    assert (first["volume"], second["volume"]) == ("2", "-1")
    assert (first["hivel"], second.get("hivel")) == ("40", None)
    assert instrument.control["set_hdcc73"] == "0.25"
    assert instrument.curves == {11: {0: 0.0, 64: 0.3}}
    values = sfz_region.Values(sfz_region.controllers(instrument.control), instrument.curves)
    assert values.get(sfz_region.region(second), "ampeg_release") == pytest.approx(0.501)


def test_files_that_include_each_other_are_an_error(tmp_path):
    (tmp_path / "a.sfz").write_text('#include "b.txt"\n')
    (tmp_path / "b.txt").write_text('#include "b.txt"\n')
    with pytest.raises(ValueError, match="circular"):
        sfz_parser.parse(tmp_path / "a.sfz")


@pytest.mark.parametrize("text, pitch", [("C4", 60), ("c#4", 61), ("db4", 61), ("A0", 21),
                                         ("f#-1", 6), ("108", 108)])
def test_note_names_are_midi_pitches(text, pitch):
    assert sfz_region.note_number(text) == pitch


def test_a_word_where_a_number_belongs_is_named(piano):
    with pytest.raises(ValueError, match="volume=loud"):
        piano("<region> sample=A4.wav volume=loud")


@pytest.mark.parametrize("opcodes, pitch, expected_hz", [
    ("pitch_keycenter=69", 69, 440.0),
    ("pitch_keycenter=69", 72, pitch_hz(72)),
    ("pitch_keycenter=69", 45, pitch_hz(45)),
    ("pitch_keycenter=69 tune=-30", 69, 440 * 2 ** (-30 / 1200)),
    ("pitch_keycenter=69 transpose=2", 69, pitch_hz(71)),
    ("pitch_keytrack=0", 80, 440.0),
    ("pitch_keycenter=a4", 70, pitch_hz(70)),
])
def test_pitch_follows_the_key_centre_and_tuning(piano, opcodes, pitch, expected_hz):
    renderer = piano(f"<region> sample=A4.wav {opcodes}")
    audio = renderer.render(sequence([(pitch, 100, 0.0, 1.0)]), SAMPLE_RATE)
    assert abs(cents(loudest_hz(audio, 0.1, 0.9), expected_hz)) < 1.0


def test_key_ranges_choose_the_sample_and_other_keys_are_silent(piano, tmp_path):
    _sine(tmp_path / "Samples" / "low.wav", 100.0)
    renderer = piano("<region> sample=low.wav lokey=40 hikey=59 pitch_keytrack=0\n"
                     "<region> sample=A4.wav lokey=60 hikey=80 pitch_keytrack=0\n")
    audio = renderer.render(sequence([(59, 90, 0.0, 0.9), (60, 90, 1.0, 1.9), (81, 90, 2.0, 2.9)]),
                            SAMPLE_RATE)
    assert loudest_hz(audio, 0.1, 0.8) == pytest.approx(100, abs=1)
    assert loudest_hz(audio, 1.1, 1.8) == pytest.approx(440, abs=1)
    assert rms(audio, 2.1, 2.8) == 0.0
    assert renderer.pitches == frozenset(range(40, 81))


def test_velocity_layers_and_their_volumes(piano, tmp_path):
    _sine(tmp_path / "Samples" / "soft.wav", 300.0)
    renderer = piano("<global> pitch_keytrack=0 amp_veltrack=0\n"
                     "<group> lovel=1 hivel=63\n<region> sample=soft.wav volume=-6\n"
                     "<group> lovel=64\n<region> sample=A4.wav volume=0\n")
    audio = renderer.render(sequence([(60, 63, 0.0, 0.9), (60, 64, 1.5, 2.4)]), SAMPLE_RATE)
    assert loudest_hz(audio, 0.1, 0.8) == pytest.approx(300, abs=1)
    assert loudest_hz(audio, 1.6, 2.3) == pytest.approx(440, abs=1)
    assert 20 * np.log10(rms(audio, 0.1, 0.8) / rms(audio, 1.6, 2.3)) == pytest.approx(-6, abs=0.1)


@pytest.mark.parametrize("track, expected_db", [
    (100, 40 * np.log10(64 / 127)),
    (0, 0.0),
    (50, 20 * np.log10(1 - 0.5 * (1 - (64 / 127) ** 2))),
])
def test_velocity_sets_the_level_as_amp_veltrack_says(piano, track, expected_db):
    renderer = piano(f"<region> sample=A4.wav pitch_keycenter=69 amp_veltrack={track}")
    levels = [rms(renderer.render(sequence([(69, velocity, 0.0, 1.0)]), SAMPLE_RATE), 0.1, 0.9)
              for velocity in (64, 127)]
    assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(expected_db, abs=0.1)


def test_controllers_stand_where_the_file_sets_them(piano):
    renderer = piano("set_hdcc72=0.5 set_cc7=127\n<global> amplitude_oncc7=50 amp_veltrack=0\n"
                     "ampeg_hold=1.0 ampeg_hold_oncc133=-0.5 ampeg_release_oncc72=2\n"
                     "<region> sample=A4.wav")
    part = renderer._by_pitch[60][0]
    assert sfz_region.gain(renderer.values, part, 60, 127) == pytest.approx(0.5)
    assert renderer.values.get(part, "ampeg_release", 60) == pytest.approx(1.001)
    assert renderer.values.get(part, "ampeg_hold", 60) == pytest.approx(1 - 0.5 * 60 / 127)


def test_release_fades_over_its_time_and_ends(piano):
    renderer = piano("<region> sample=A4.wav pitch_keycenter=69 ampeg_release=0.4")
    audio = renderer.render(sequence([(69, 127, 0.0, 1.0)]), SAMPLE_RATE)
    assert audio.duration_secs == pytest.approx(1.4, abs=0.01)
    held = rms(audio, 0.8, 1.0)
    # e^(-10.36 x) with x the share of the release time.
    assert 20 * np.log10(rms(audio, 1.09, 1.11) / held) == pytest.approx(-22.5, abs=1)


def test_envelope_holds_then_decays(piano):
    renderer = piano("<region> sample=A4.wav pitch_keycenter=69 ampeg_attack=0.1 ampeg_hold=0.4 "
                     "ampeg_decay=2 ampeg_sustain=0")
    audio = renderer.render(sequence([(69, 127, 0.0, 2.0)]), SAMPLE_RATE)
    assert rms(audio, 0.0, 0.1) < 0.65 * rms(audio, 0.2, 0.3)
    assert rms(audio, 0.42, 0.5) == pytest.approx(rms(audio, 0.2, 0.3), rel=0.01)
    later = 20 * np.log10(rms(audio, 1.49, 1.51) / rms(audio, 0.2, 0.3))
    assert later == pytest.approx(-45, abs=1)  # half the decay: 10.36 / 2 nepers


def test_falling_is_a_line_for_shape_zero_and_reaches_zero():
    line = falling(100, 50, 0.0)
    np.testing.assert_allclose(line[:50], 1 - np.arange(50) / 50, atol=1e-6)
    curve = falling(2000, 1000, -6.0)
    assert curve[0] == pytest.approx(1) and np.all(np.diff(curve[:1000]) < 0)
    assert not curve[1000:].any()
    assert curve[500] == pytest.approx((np.exp(-3) - np.exp(-6)) / (1 - np.exp(-6)), rel=1e-4)


def test_sustain_pedal_holds_a_note_until_it_comes_up(piano):
    renderer = piano(PLAIN)
    notes = [(69, 100, 0.0, 0.3)]
    free = renderer.render(sequence(notes), SAMPLE_RATE)
    held = renderer.render(sequence(notes, [(64, 0.1, 127), (64, 1.5, 0)]), SAMPLE_RATE)
    assert rms(free, 0.5, 1.4) == 0.0
    assert rms(held, 0.5, 1.4) == pytest.approx(rms(held, 0.05, 0.25), rel=0.01)
    assert held.duration_secs == pytest.approx(1.55, abs=0.01)


def test_a_key_struck_again_fades_its_earlier_sound(piano):
    text = ("<global> note_polyphony={} off_time=0.1 amp_veltrack=0 ampeg_release=0.05\n"
            "<region> sample=A4.wav pitch_keycenter=69 volume=-6\n")
    pedal = [(64, 0.0, 127), (64, 2.0, 0)]
    again = sequence([(69, 90, 0.0, 0.2), (69, 90, 1.0, 1.2)], pedal)
    once = piano(text.format(1)).render(sequence([(69, 90, 0.0, 0.2)], pedal), SAMPLE_RATE)
    single = piano(text.format(1)).render(again, SAMPLE_RATE)
    both = piano(text.format(0)).render(again, SAMPLE_RATE)
    assert rms(single, 1.3, 1.9) == pytest.approx(rms(once, 0.2, 0.9), rel=0.02)
    # 440 Hz starts in phase with itself a second later, so two voices are twice one.
    assert rms(both, 1.3, 1.9) == pytest.approx(2 * rms(once, 0.2, 0.9), rel=0.02)


def test_a_softer_stroke_leaves_a_louder_sound_ringing(piano):
    renderer = piano("<global> note_polyphony=1 off_time=0.1 amp_veltrack=100\n" + PLAIN)
    pedal = [(64, 0.0, 127), (64, 2.5, 0)]
    loud_soft = renderer.render(sequence([(69, 120, 0.0, 0.2), (69, 30, 1.0, 1.2)], pedal),
                                SAMPLE_RATE)
    soft = renderer.render(sequence([(69, 30, 0.0, 0.2)], pedal), SAMPLE_RATE)
    assert rms(loud_soft, 1.3, 1.9) > 10 * rms(soft, 0.3, 0.9)


def test_a_repeated_key_without_pedal_is_damped_in_between(piano):
    renderer = piano("<global> note_polyphony=1 off_time=0.5\n" + PLAIN)
    audio = renderer.render(sequence([(69, 90, 0.0, 0.4), (69, 90, 1.0, 1.4)]), SAMPLE_RATE)
    assert rms(audio, 0.5, 0.95) == 0.0
    assert rms(audio, 1.05, 1.35) == pytest.approx(rms(audio, 0.05, 0.35), rel=0.01)


def test_release_samples_sound_when_the_damper_falls(piano, tmp_path):
    _sine(tmp_path / "Samples" / "thud.wav", 150.0, secs=0.3)
    renderer = piano(PLAIN + "<master> trigger=release rt_decay=6 pitch_keytrack=0 "
                             "amp_veltrack=0\n<region> sample=thud.wav\n")
    notes = [(69, 100, 0.0, 0.5)]
    free = renderer.render(sequence(notes), SAMPLE_RATE)
    held = renderer.render(sequence(notes, [(64, 0.1, 127), (64, 1.5, 0)]), SAMPLE_RATE)
    assert loudest_hz(free, 0.58, 0.78) == pytest.approx(150, abs=2)
    assert loudest_hz(held, 0.58, 0.78) == pytest.approx(440, abs=2)
    assert loudest_hz(held, 1.58, 1.78) == pytest.approx(150, abs=2)
    # One second longer is 6 dB less.
    assert rms(held, 1.58, 1.78) / rms(free, 0.58, 0.78) == pytest.approx(10 ** -0.3, rel=0.03)


def test_regions_on_a_condition_sound_only_with_the_pedal_down(piano, tmp_path):
    _sine(tmp_path / "Samples" / "strings.wav", 990.0)
    renderer = piano("<group> locc64=65\n<region> sample=strings.wav pitch_keytrack=0\n"
                     "<group>\n" + PLAIN)
    notes = [(57, 100, 0.5, 1.5)]
    without = renderer.render(sequence(notes), SAMPLE_RATE)
    late = renderer.render(sequence(notes, [(64, 0.6, 127), (64, 2.0, 0)]), SAMPLE_RATE)
    down = renderer.render(sequence(notes, [(64, 0.1, 127), (64, 2.0, 0)]), SAMPLE_RATE)
    def level(audio):
        part = audio.samples[round(0.6 * SAMPLE_RATE):round(1.4 * SAMPLE_RATE)]
        carrier = np.exp(2j * np.pi * 990 * np.arange(len(part)) / SAMPLE_RATE)
        return abs(np.mean(part * carrier))
    assert level(down) > 100 * max(level(without), level(late))


def test_offset_and_end_cut_the_sample(piano):
    renderer = piano("<region> sample=A4.wav pitch_keycenter=69 offset=22050 end=66149")
    audio = renderer.render(sequence([(69, 100, 0.0, 2.5)]), SAMPLE_RATE)
    assert rms(audio, 0.1, 0.9) > 0.1 and rms(audio, 1.02, 2.4) < 1e-4


def test_a_looped_sample_sounds_as_long_as_the_key_is_down(piano):
    # 4410 samples are 44 whole periods of 440 Hz, so the loop has no seam.
    renderer = piano("<region> sample=A4.wav pitch_keycenter=69 loop_mode=loop_continuous "
                     "loop_start=44100 loop_end=48509")
    audio = renderer.render(sequence([(69, 100, 0.0, 10.0)]), SAMPLE_RATE)
    assert rms(audio, 9.0, 9.9) == pytest.approx(rms(audio, 0.1, 0.9), rel=0.01)
    assert abs(cents(loudest_hz(audio, 8.0, 9.9), 440)) < 1


def test_a_low_pass_layer_is_darker(piano):
    renderer = piano("<global> amp_veltrack=0\n<region> sample=A4.wav pitch_keytrack=0 lokey=60 "
                     "hikey=60 cutoff=110\n<region> sample=A4.wav pitch_keytrack=0 key=61\n")
    dark, plain = (rms(renderer.render(sequence([(pitch, 90, 0, 1)]), SAMPLE_RATE), 0.2, 0.9)
                   for pitch in (60, 61))
    # Two poles, two octaves above the cutoff.
    assert 20 * np.log10(dark / plain) == pytest.approx(-24.1, abs=0.5)


def test_velocity_crossfades_keep_the_power(piano, tmp_path):
    _sine(tmp_path / "Samples" / "soft.wav", 300.0)
    renderer = piano("<global> amp_veltrack=0 pitch_keytrack=0\n"
                     "<region> sample=soft.wav xfout_lovel=40 xfout_hivel=80\n"
                     "<region> sample=A4.wav xfin_lovel=40 xfin_hivel=80\n")
    levels = [rms(renderer.render(sequence([(60, v, 0, 1)]), SAMPLE_RATE), 0.1, 0.9)
              for v in (30, 60, 90)]
    np.testing.assert_allclose(levels, levels[0], rtol=0.02)


def test_velocity_crossfades_in_amplitude_mix_samples_of_one_phase(piano):
    renderer = piano("<global> amp_veltrack=0 xf_velcurve=gain\n"
                     "<region> sample=A4.wav xfout_lovel=40 xfout_hivel=80\n"
                     "<region> sample=A4.wav xfin_lovel=40 xfin_hivel=80 volume=-6.0206\n")
    levels = [rms(renderer.render(sequence([(60, v, 0, 1)]), SAMPLE_RATE), 0.1, 0.9)
              for v in (30, 60, 90)]
    np.testing.assert_allclose(np.array(levels) / levels[0], (1, 0.75, 0.5), rtol=0.01)


def test_round_robin_takes_turns(piano, tmp_path):
    _sine(tmp_path / "Samples" / "other.wav", 300.0)
    renderer = piano("<global> seq_length=2 pitch_keytrack=0\n"
                     "<region> sample=A4.wav seq_position=1\n"
                     "<region> sample=other.wav seq_position=2\n")
    audio = renderer.render(sequence([(60, 90, i, i + 0.8) for i in range(3)]), SAMPLE_RATE)
    heard = [round(loudest_hz(audio, i + 0.1, i + 0.7), -1) for i in range(3)]
    assert heard == [440, 300, 440]


def test_rendering_is_deterministic_and_survives_a_tiny_cache(piano, monkeypatch):
    notes = sequence([(60 + i % 12, 90, 0.1 * i, 0.1 * i + 0.5) for i in range(40)])
    first = piano(PLAIN).render(notes, SAMPLE_RATE)
    monkeypatch.setattr(sfz_samples, "KEY_CACHE_BYTES", 200_000)
    renderer = piano(PLAIN)
    np.testing.assert_array_equal(renderer.render(notes, SAMPLE_RATE).samples, first.samples)
    assert renderer._store.keys.bytes <= 200_000


def test_stereo_is_panned_and_averaged(piano, tmp_path):
    time = np.arange(SOURCE_RATE) / SOURCE_RATE
    left, right = np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 700 * time)
    soundfile.write(tmp_path / "Samples" / "stereo.wav", 0.5 * np.stack([left, right], 1),
                    SOURCE_RATE)
    renderer = piano("<global> pitch_keytrack=0\n<region> key=60 pan=-100 sample=stereo.wav\n"
                     "<region> key=61 pan=100 sample=stereo.wav\n")
    audio = renderer.render(sequence([(60, 90, 0, 0.9), (61, 90, 1, 1.9)]), SAMPLE_RATE)
    assert loudest_hz(audio, 0.1, 0.8) == pytest.approx(300, abs=1)
    assert loudest_hz(audio, 1.1, 1.8) == pytest.approx(700, abs=1)


def test_dense_loud_chords_do_not_clip(piano):
    renderer = piano(PLAIN)
    audio = renderer.render(sequence([(p, 127, 0.0, 1.0) for p in range(40, 100)]), SAMPLE_RATE)
    assert 0.9 < np.max(np.abs(audio.samples)) <= 0.981


def test_a_missing_or_damaged_sample_is_named_and_the_others_sound(piano, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none of its samples is there.*gone\.wav"):
        piano("<region> sample=gone.wav")
    (tmp_path / "Samples" / "bad.wav").write_bytes(b"RIFF no audio")
    renderer = piano("<region> sample=gone.wav key=60\n<region> sample=bad.wav key=62\n"
                     "<region> sample=A4.wav key=69")
    with pytest.warns(UserWarning, match=r"bad\.wav.*left out"):
        audio = renderer.render(sequence([(62, 90, 0.0, 1.0), (69, 90, 1.0, 1.5)]), SAMPLE_RATE)
    assert rms(audio, 0.1, 0.9) < 1e-6 < 1e-2 < rms(audio, 1.1, 1.4)
    assert renderer.pitches == {62, 69}
    [line] = renderer.remarks()
    assert "2 samples are missing" in line and "bad.wav" in line and "gone.wav" in line


def test_opcodes_without_effect_are_listed(piano):
    renderer = piano("<region> sample=A4.wav lfo01_freq=3 eq1_gain=2 xfin_locc1=3")
    assert renderer.ignored == ["eq1_gain", "lfo01_freq", "xfin_locc1"]
    assert renderer.remarks()[0].endswith("without effect here: eq1_gain, lfo01_freq, xfin_locc1")


@pytest.mark.parametrize("path", ["SAMPLES/a4.WAV", r"samples\A4.wav", r"\Samples\a4.wav",
                                  "./Other/../samples/a4.wav", "samples/./A4.wav"])
def test_names_are_found_as_windows_would(tmp_path, path):
    _sine(tmp_path / "Samples" / "A4.wav", 440.0)
    (tmp_path / "Other").mkdir()
    (tmp_path / "KEYS.TXT").write_text(f"<region> sample={path} key=69")
    (tmp_path / "a.sfz").write_text('#include "Keys.txt"')
    audio = SfzRenderer(tmp_path / "a.sfz").render(sequence([(69, 90, 0, 1)]), SAMPLE_RATE)
    assert abs(cents(loudest_hz(audio, 0.1, 0.8), 440)) < 5


def test_each_control_header_begins_anew_but_for_its_controllers(tmp_path):
    _sine(tmp_path / "one" / "x.wav", 440.0)
    _sine(tmp_path / "x.wav", 660.0)
    (tmp_path / "a.sfz").write_text(
        "<control> default_path=\\one\\ note_offset=12 set_cc30=127\n"
        "<region> sample=x.wav key=60 pitch_keytrack=0\n"
        "<control> set_cc31=0\n<region> sample=x.wav key=60 pitch_keytrack=0")
    renderer = SfzRenderer(tmp_path / "a.sfz")
    assert renderer.pitches == {60, 72}
    for pitch, hz in ((72, 440), (60, 660)):
        audio = renderer.render(sequence([(pitch, 90, 0, 1)]), SAMPLE_RATE)
        assert abs(cents(loudest_hz(audio, 0.1, 0.8), hz)) < 5
    assert renderer.values.controllers[30] == 1.0


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_texts_of_any_encoding_name_their_samples(tmp_path, encoding, form):
    _sine(tmp_path / unicodedata.normalize(form, "Flügel.wav"), 440.0)
    (tmp_path / "a.sfz").write_bytes("<region> sample=Flügel.wav key=69".encode(encoding))
    assert SfzRenderer(tmp_path / "a.sfz").pitches == {69}


def _with_smpl(path, note=60, fraction=0, loop=None):
    """Appends the chunk that samplers write."""
    body = struct.pack("<9I", 0, 0, 0, note, fraction, 0, 0, 0 if loop is None else 1, 0)
    if loop:
        body += struct.pack("<6I", 0, 0, *loop, 0, 0)
    data = path.read_bytes() + b"smpl" + struct.pack("<I", len(body)) + body
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def test_a_sample_says_its_key_and_its_loop(tmp_path):
    wav = tmp_path / "x.wav"
    period = 100  # samples; 441 Hz
    time = np.arange(SOURCE_RATE) / SOURCE_RATE
    soundfile.write(wav, 0.5 * np.sin(2 * np.pi * 441 * time), SOURCE_RATE)
    _with_smpl(wav, 69, 1 << 31, loop=(200 * period, 300 * period - 1))

    def render(opcodes):
        (tmp_path / "a.sfz").write_text(f"<region> sample=x.wav ampeg_release=0.05 {opcodes}")
        return SfzRenderer(tmp_path / "a.sfz").render(sequence([(69, 90, 0.0, 4.0)]), SAMPLE_RATE)

    asked = render("pitch_keycenter=sample")
    assert cents(loudest_hz(asked, 0.1, 0.8), 441) == pytest.approx(-50, abs=3)
    plain = render("key=69")
    assert plain.duration_secs == pytest.approx(4.05, abs=0.06), "looped, as the sample says"
    assert rms(plain, 3.0, 3.9) == pytest.approx(rms(plain, 0.1, 0.4), rel=0.02)
    assert abs(cents(loudest_hz(plain, 0.1, 3.8), 441)) < 3
    same = render("key=69 loop_mode=loop_continuous")
    np.testing.assert_allclose(same.samples, plain.samples, atol=1e-6)
    for opcodes in ("key=69 loop_mode=no_loop", "key=69 loop_mode=one_shot"):
        sounding = np.flatnonzero(np.abs(render(opcodes).samples) > 1e-4)
        assert sounding[-1] / SAMPLE_RATE == pytest.approx(1.0, abs=0.05)


def test_keys_crossfade_with_equal_power(piano, tmp_path):
    _sine(tmp_path / "Samples" / "low.wav", 300.0)
    _sine(tmp_path / "Samples" / "high.wav", 500.0)
    text = ("<global> pitch_keytrack=0 amp_veltrack=0 {}\n"
            "<region> sample=low.wav lokey=40 hikey=70 xfout_lokey=c4 xfout_hikey=70\n"
            "<region> sample=high.wav lokey=60 hikey=90 xfin_lokey=60 xfin_hikey=70\n")

    def level(pitch, extra=""):
        audio = piano(text.format(extra)).render(sequence([(pitch, 90, 0, 1)]), SAMPLE_RATE)
        return rms(audio, 0.2, 0.8)

    full = level(50)
    assert level(80) == pytest.approx(full, rel=0.01)
    assert level(65) == pytest.approx(full, rel=0.02)
    assert level(65, "xf_keycurve=gain") == pytest.approx(full / 2 ** 0.5, rel=0.02)
    assert level(60) == pytest.approx(full, rel=0.01) == pytest.approx(level(70), rel=0.02)


def test_specs_name_files_and_folders(piano, tmp_path):
    piano(PLAIN)
    [from_file] = renderers_from(tmp_path / "My Piano.sfz")
    [from_folder] = renderers_from(str(tmp_path))
    assert from_file.timbre_id == from_folder.timbre_id == "my_piano"
    assert isinstance(from_file, Renderer)
    with pytest.raises(FileNotFoundError, match=r"gone\.sf2"):
        renderers_from(tmp_path / "gone.sf2")
    with pytest.raises(ValueError, match=r"holds no \.sf2"):
        renderers_from(tmp_path / "Samples")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match="neither"):
        renderers_from(tmp_path / "notes.txt")
