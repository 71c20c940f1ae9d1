"""Small performances and measurements that the rendering tests share."""

import numpy as np
from note_seq.protobuf import music_pb2

SAMPLE_RATE = 24_000


def sequence(notes, pedals=()):
    """A NoteSequence of (pitch, velocity, start, end) and (control, seconds, value)."""
    out = music_pb2.NoteSequence()
    for pitch, velocity, start, end in notes:
        out.notes.add(pitch=pitch, velocity=velocity, start_time=start, end_time=end)
    for control, secs, value in pedals:
        out.control_changes.add(control_number=control, time=secs, control_value=value)
    out.total_time = max((note[3] for note in notes), default=0.0)
    return out


def rms(audio, start, stop):
    """RMS of the audio between two times, 0 after its end."""
    part = audio.samples[round(start * audio.sample_rate):round(stop * audio.sample_rate)]
    return float(np.sqrt(np.mean(part.astype(np.float64) ** 2))) if len(part) else 0.0


def loudest_hz(audio, start, stop):
    """Frequency of the strongest partial between two times, to about 0.1 Hz."""
    part = audio.samples[round(start * audio.sample_rate):round(stop * audio.sample_rate)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 16 * len(part)))
    return float(np.argmax(power)) * audio.sample_rate / (16 * len(part))


def cents(freq_hz, reference_hz):
    """Interval from the reference."""
    return 1200 * np.log2(freq_hz / reference_hz)


def pitch_hz(pitch):
    """Equal temperament, A4 = 440 Hz."""
    return 440 * 2 ** ((pitch - 69) / 12)
