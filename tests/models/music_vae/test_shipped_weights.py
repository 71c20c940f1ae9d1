"""The weights of `hierdec-mel_16bar_small` bring melodies back from their latent vectors."""

import numpy as np
import pytest

from style_transfer import configs, weights
from style_transfer.models.music_vae import latent
from style_transfer.symbolic import encodings

NAME = "hierdec-mel_16bar_small"
LAYOUT = configs.get(NAME).examples.layout
ODE = "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 "
TWINKLE = "C4 C4 G4 G4 A4 A4 G8 F4 F4 E4 E4 D4 D4 C8 "
CLAIR = "C4 C4 C4 D4 E8 D8 C4 E4 D4 D4 C16 "
# Pitches of an octave, the lower ones with a comma, and their lengths in sixteenths.
TUNES = {
    "Ode to Joy": ODE + "E6 D2 D8 " + ODE + "D6 C2 C8 D4 D4 E4 C4 D4 E2 F2 E4 C4 D4 E2 F2 E4 D4 "
                  "C4 D4 G8 " + ODE + "D6 C2 C8",
    "Twinkle, Twinkle, Little Star": 2 * (TWINKLE + 2 * "G4 G4 F4 F4 E4 E4 D8 "),
    "Au clair de la lune": 2 * CLAIR + "D4 D4 D4 D4 A,8 A,8 D4 C4 B,4 A,4 G,16 " + CLAIR,
}


def labels_of(tune, tonic):
    """Classes of a tune, `[steps, 1]`."""
    labels = []
    for note in tune.split():
        pitch = tonic + {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[note[0]]
        low = "," in note
        begins = encodings.FIRST_NOTE_ON + pitch - 12 * low - encodings.LOWEST_PITCH
        labels += [begins] + [latent.NO_EVENT] * (int(note[1 + low:]) - 1)
    return np.array(labels, np.int16)[:, None]


@pytest.fixture(scope="module")
def model():
    return weights.load(NAME)


@pytest.fixture(scope="module")
def labels():
    found = np.stack([labels_of(tune, tonic) for tune in TUNES.values()
                      for tonic in (57, 60, 64, 67)])
    assert found.shape == (12, LAYOUT.steps, 1)
    return found


def test_notes_come_back_from_their_own_latent_vector_and_not_from_another(model, labels):
    found = latent.latent_usage(model, LAYOUT, labels)
    assert found["sampled_accuracy"] > np.mean(labels == latent.NO_EVENT) + 0.05
    assert found["sampled_event_accuracy"] > 0.28
    assert found["shuffled_sampled_event_accuracy"] < 0.1
    assert found["bits_per_step"] < 0.5 * found["shuffled_bits_per_step"]


def test_notes_begin_where_they_did_and_near_the_pitches_they_had(model, labels):
    written = latent.reconstruct(model, LAYOUT, labels, temperature=0).astype(int)
    begins, is_note = (x >= encodings.FIRST_NOTE_ON for x in (written, labels))
    both = begins & is_note
    assert both.sum() > 0.65 * is_note.sum() and both.sum() > 0.9 * begins.sum()
    assert np.mean(np.abs(written - labels)[both]) < 3.0, "semitones"
