import pathlib

import keras
import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.models.drums_rnn import sampling as drums
from style_transfer.models.drums_rnn.net import DrumsRnn
from style_transfer.symbolic.layouts import DrumLayout

note_seq = pytest.importorskip("note_seq")
LAYOUT = DrumLayout()
MIDI_CASES = pathlib.Path(__file__).parents[2] / "midi" / "cases"
PRIMER = ((36,), (), (42,))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = DrumsRnn(rnn_layer_sizes=(6, 5), attn_length=4)
    model.build(None)
    # Sharper than the initial weights, so that what came before matters.
    model.fully_connected.kernel.assign(30 * model.fully_connected.kernel)
    return model


def options(**changes):
    return drums.DrumOptions(**{"num_steps": 12, "num_outputs": 3, "primer": PRIMER, **changes})


def quantized(sequence):
    track = note_seq.DrumTrack()
    track.from_quantized_sequence(note_seq.quantize_note_sequence(sequence, 4), gap_bars=100)
    return list(track)


def test_tracks_begin_with_the_primer_at_the_tempo_asked_for(model):
    found = drums.generate(model, LAYOUT, options(qpm=90))
    assert len(found) == 3
    for sequence, _ in found:
        assert [sorted(event) for event in quantized(sequence)[:3]] == [[36], [], [42]]
        assert sequence.tempos[0].qpm == 90
        assert all(note.is_drum for note in sequence.notes)


def test_one_seed_gives_one_result(model):
    once, again, other = (
        [s.SerializeToString() for s, _ in drums.generate(model, LAYOUT, options(seed=seed))]
        for seed in (1, 1, 2))
    assert once == again != other


def test_reported_likelihood_is_that_of_the_whole_track(model):
    """Step by step with a state equals one run over all of it."""
    for sequence, likelihood in drums.generate(model, LAYOUT, options(temperature=0.7)):
        events = quantized(sequence)
        events = (events + [frozenset()] * 12)[:12]
        expected = drums.log_likelihood(model, LAYOUT, events, temperature=0.7).sum()
        assert likelihood == pytest.approx(expected, abs=1e-3)


def test_a_beam_finds_likelier_tracks(model):
    plain = np.mean([ll for _, ll in drums.generate(model, LAYOUT, options())])
    beam = np.mean([ll for _, ll in drums.generate(
        model, LAYOUT, options(beam_size=4, branch_factor=4, steps_per_iteration=2))])
    assert beam > plain


def test_low_temperature_is_likelier_by_the_models_own_measure(model):
    def mean(temperature):
        return np.mean([drums.log_likelihood(model, LAYOUT, (quantized(s) + [()] * 12)[:12]
                                             ).sum()
                        for s, _ in drums.generate(model, LAYOUT,
                                                   options(temperature=temperature))])

    assert mean(0.1) > mean(2.0)


@pytest.mark.parametrize(("changes", "message"), [
    ({"num_steps": 3}, "leaves nothing to write after a primer of 3 steps"),
    ({"primer": ()}, "primer is empty"), ({"temperature": 0.0}, "must be more than 0"),
    ({"beam_size": 0}, "beam_size is 0")])
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        options(**changes)


def test_a_primer_is_read_from_the_first_part_that_can_be_quantized():
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.tempos.add(qpm=60, time=2.0)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for beat, pitch in enumerate((36, 42, 38, 42)):
        sequence.notes.add(pitch=pitch, velocity=90, start_time=2 + beat, end_time=2.1 + beat,
                           is_drum=True, instrument=9)
    sequence.total_time = 6
    primer = drums.primer_of(sequence, LAYOUT)
    assert primer[0] == (36,) and primer[4] == (42,) and primer[1] == ()
    for note in sequence.notes:
        note.is_drum = False
    with pytest.raises(ValueError, match="no drums"):
        drums.primer_of(sequence, LAYOUT)


def test_strikes_without_length_are_a_primer():
    primer = drums.primer_of(piano_roll.load_midi(MIDI_CASES / "drums_zero_len.mid"), LAYOUT)
    assert sum(map(len, primer)) == 96 and primer[:3] == ((36, 42), (), (42,))
