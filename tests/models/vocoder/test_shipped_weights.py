import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import weights
from style_transfer.evaluation import metrics
from style_transfer.signal import log_mel
from tests.pipelines import tiny_pairs

RATE = log_mel.SAMPLE_RATE


@pytest.fixture(scope="module")
def model():
    return weights.load("vocoder")


@pytest.mark.parametrize("hz", [329.6, 441.3, 1108.7])
def test_a_held_tone_keeps_its_pitch_between_multiples_of_the_frame_rate(model, hz):
    time = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * k * hz * time) / k * np.exp(-k * time) for k in range(1, 6))
    tone = (0.15 * tone * np.minimum(1, 200 * time)).astype("f")
    made = model.play(np.asarray(log_mel.of_audio(tone[None]))[0])[RATE // 2:-RATE // 2]
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made)), 1 << 18))
    heard = spectrum.argmax() * RATE / (1 << 18)
    assert abs(1200 * np.log2(heard / hz)) < 10


def test_sines_with_hard_ends_come_back_and_polishing_brings_them_nearer(model):
    recording = tiny_pairs.sound(tiny_pairs.table(4.0, seed=2), 4.0, RATE)
    gain = 10 ** ((log_mel.LEVEL_DB - audio_lib.sounding_rms_db(recording)) / 20)
    recording = audio_lib.Audio(gain * recording.samples, RATE)
    mel = np.asarray(log_mel.of_audio(recording.samples[None]))[0]
    rough, polished = (metrics.all_metrics(audio_lib.Audio(
        model.play(mel, rounds=rounds)[:len(recording.samples)], RATE), recording)["logmel_l1_60"]
        for rounds in (0, 4))
    assert polished < 2.5 and polished < rough
