"""How far a rendering is from the true one: the measures this project is judged by.

Every audio measure compares a candidate with an aligned reference at 16 kHz, mono, both scaled to
the same RMS, so that gain never matters. The headline is `logmel_l1_60` and `spectral_60`: with
the floor 60 dB under the reference's peak, so that inaudible noise does not decide.
"""

import functools
import warnings

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.signal import mel

SAMPLE_RATE = 16_000
TARGET_RMS_DB = -25.0
LOG_MEL_SCALES = ((512, 64), (1024, 80), (2048, 128))
SPECTRAL_FFT_SIZES = (2048, 1024, 512, 256, 128, 64)
SPECTRAL_LOG_FLOOR = 1e-5
MEL_FFT_SIZE = 2048
MEL_BANDS = 128
MEL_RANGE_DB = 80.0
NUM_MFCC = 13
MFCC_HOP_SAMPLES = 500
MFCC_GATE_DB = 50.0
ONSET_TOLERANCE_SECS = 0.05
HEADLINE = ("logmel_l1_60", "spectral_60")
AUDIO_METRICS = ("logmel_l1", "logmel_l1_60", "lsd", "lsd_cifka", "mfcc_cos", "spectral",
                 "spectral_60")
_TINY = 1e-12


class Clip:
    """One clip at 16 kHz and the common RMS, with its spectra computed once.

    Args:
        audio: An `Audio` of any rate.
        num_samples: Length at 16 kHz to cut or zero-pad to (before the RMS is taken); None keeps
            the clip's own.
        name: What an error message calls the clip.

    Raises:
        ValueError: The clip is no `Audio`, shorter than one analysis window, silent, or holds
            values that are not finite.
    """

    def __init__(self, audio, num_samples=None, name="clip"):  # noqa: D107
        samples = _validated(audio, name)
        if num_samples is not None:
            samples = np.pad(samples, (0, max(0, num_samples - len(samples))))[:num_samples]
        rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
        if rms == 0:
            raise ValueError(
                f"The {name} is silent over the compared {len(samples) / SAMPLE_RATE:.2f} s: a "
                "distance to silence means nothing. Check how it was made."
            )
        gain = 10 ** (TARGET_RMS_DB / 20) / (rms + _TINY)
        self.samples = (samples * gain).astype(np.float32)
        self._magnitudes = {}

    def magnitude(self, n_fft):
        """STFT magnitude with a hop of a quarter window, `[1 + n_fft // 2, frames]`."""
        if n_fft not in self._magnitudes:
            import librosa

            self._magnitudes[n_fft] = np.abs(
                librosa.stft(self.samples, n_fft=n_fft, hop_length=n_fft // 4))
        return self._magnitudes[n_fft]

    def mel_db(self, gain=1.0):
        """Mel power in dB of the clip times `gain`, `[128, frames]`, 80 dB deep."""
        import librosa

        power = np.square(self.magnitude(MEL_FFT_SIZE) * np.float32(gain))
        return librosa.power_to_db(mel_filters(MEL_FFT_SIZE, MEL_BANDS) @ power, ref=1.0,
                                   top_db=MEL_RANGE_DB)

    @functools.cached_property
    def mean_mfcc(self):
        """MFCC 1 to 12, mean over the frames at most 50 dB under the loudest, `[12]`."""
        import librosa

        mfcc = librosa.feature.mfcc(y=self.samples, sr=SAMPLE_RATE, n_mfcc=NUM_MFCC,
                                    hop_length=MFCC_HOP_SAMPLES)[1:]
        level = librosa.feature.rms(y=self.samples, frame_length=MEL_FFT_SIZE,
                                    hop_length=MFCC_HOP_SAMPLES)[0][: mfcc.shape[1]]
        loud = level > level.max() * 10 ** (-MFCC_GATE_DB / 20)
        return mfcc[:, : len(loud)][:, loud].mean(axis=1)


def log_mel_l1(candidate, reference, floor_db=80.0):
    """Mean absolute difference of log-mel magnitudes over three resolutions.

    Args:
        candidate: A `Clip`.
        reference: A `Clip` of the same length.
        floor_db: How far under the reference's own peak magnitudes are clamped, dB.

    Returns:
        dB, 0 or more. FFT sizes 512, 1024 and 2048 with 64, 80 and 128 bands, hop a quarter.
    """
    _same_length(candidate, reference)
    distances = []
    for n_fft, num_bands in LOG_MEL_SCALES:
        filters = mel_filters(n_fft, num_bands)
        ours, true = (filters @ clip.magnitude(n_fft) for clip in (candidate, reference))
        floor = true.max() * 10 ** (-floor_db / 20)
        distances.append(_mean_log_ratio(ours, true, floor) * 20 / np.log(10))
    return float(np.mean(distances))


def spectral_loss(candidate, reference, floor_db=None):
    """DDSP's multi-scale spectral loss: L1 of magnitudes plus L1 of their logarithms.

    Args:
        candidate: A `Clip`.
        reference: A `Clip` of the same length.
        floor_db: Clamps magnitudes that far under the reference's peak bin before the logarithm;
            None clamps at 1e-5.

    Returns:
        Sum over FFT sizes 2048 to 64, dimensionless.

    Source: Engel et al., 2020, section 4.2.1 (both weights 1).
    """
    _same_length(candidate, reference)
    total = 0.0
    for n_fft in SPECTRAL_FFT_SIZES:
        ours, true = candidate.magnitude(n_fft), reference.magnitude(n_fft)
        floor = SPECTRAL_LOG_FLOOR
        if floor_db is not None:
            floor = true.max() * 10 ** (-floor_db / 20)
        total += np.mean(np.abs(ours - true)) + _mean_log_ratio(ours, true, floor)
    return float(total)


def lsd(candidate, reference):
    """Log-spectral distance in dB: RMS over 128 mel bands, mean over frames."""
    _same_length(candidate, reference)
    difference = candidate.mel_db() - reference.mel_db()
    return float(np.mean(np.sqrt(np.mean(np.square(difference), axis=0))))


def lsd_cifka(candidate, reference):
    """Log-spectral distance in dB as published for ss-vq-vae: RMS over time, mean over bands.

    Audio has RMS 1 there, which only moves the absolute floor of 1e-10.

    Source: Cifka et al., 2021, the evaluation notebook of the paper.
    """
    _same_length(candidate, reference)
    ours, true = (clip.mel_db(_unit_rms_gain(clip)) for clip in (candidate, reference))
    return float(np.mean(np.sqrt(np.mean(np.square(ours - true), axis=1))))


def mfcc_cos(candidate, reference):
    """Timbre: cosine distance of the clips' mean MFCC vectors (c0 left out), 0 to 2."""
    ours, true = candidate.mean_mfcc, reference.mean_mfcc
    return float(1 - ours @ true / (np.linalg.norm(ours) * np.linalg.norm(true) + _TINY))


def all_metrics(candidate, reference):
    """Every audio measure of a candidate against the true rendering.

    Args:
        candidate: An `Audio`, which is cut or zero-padded to the reference's length, or a `Clip`
            of that length.
        reference: An `Audio` aligned with it, or a `Clip` made of one (to share its spectra
            between candidates).

    Returns:
        Dict of floats with the keys `AUDIO_METRICS`; 0 is equality for all of them.

    Raises:
        ValueError: As for `Clip`.
    """
    true = reference if isinstance(reference, Clip) else Clip(reference, name="reference")
    ours = candidate
    if not isinstance(candidate, Clip):
        ours = Clip(candidate, len(true.samples), "candidate")
    return {
        "logmel_l1": log_mel_l1(ours, true),
        "logmel_l1_60": log_mel_l1(ours, true, floor_db=60.0),
        "lsd": lsd(ours, true),
        "lsd_cifka": lsd_cifka(ours, true),
        "mfcc_cos": mfcc_cos(ours, true),
        "spectral": spectral_loss(ours, true),
        "spectral_60": spectral_loss(ours, true, floor_db=60.0),
    }


def onset_f1(estimated, reference, tolerance_secs=ONSET_TOLERANCE_SECS):
    """F1 of note onsets: right pitch (rounded) and onset within the tolerance.

    Args:
        estimated: Notes as rows of onset in seconds and MIDI pitch, shape `[n, 2]`.
        reference: True notes, shape `[m, 2]`.
        tolerance_secs: Largest difference of onsets, seconds.

    Returns:
        Dict of `precision`, `recall`, `f1`, `n_est`, `n_ref`. Each true note is matched at most
        once; sorted onsets of one pitch are matched from the left, which is optimal for
        intervals of one width, so the result equals mir_eval's with `offset_ratio=None`.

    Raises:
        ValueError: A list has another shape, negative or non-finite onsets, or pitches outside
            0 to 127.
    """
    estimated = _validated_notes(estimated, "estimated")
    reference = _validated_notes(reference, "reference")
    hits = sum(
        _matches(np.sort(estimated[estimated[:, 1] == pitch, 0]),
                 np.sort(reference[reference[:, 1] == pitch, 0]), tolerance_secs)
        for pitch in np.unique(reference[:, 1])
    )
    precision, recall = hits / max(len(estimated), 1), hits / max(len(reference), 1)
    f1 = 2 * precision * recall / max(precision + recall, _TINY)
    return {"precision": precision, "recall": recall, "f1": f1, "n_est": len(estimated),
            "n_ref": len(reference)}


def mel_filters(n_fft, num_bands):
    """Slaney mel filters at 16 kHz, `[num_bands, 1 + n_fft // 2]`."""
    return mel.matrix(SAMPLE_RATE, n_fft, num_bands).T


def _mean_log_ratio(ours, true, floor):
    return np.mean(np.abs(np.log(np.maximum(ours, floor)) - np.log(np.maximum(true, floor))))


def _unit_rms_gain(clip):
    return 1 / (np.sqrt(np.mean(np.square(clip.samples))) + np.finfo(np.float32).eps)


def _matches(ours, true, tolerance_secs):
    hits = i = j = 0
    while i < len(ours) and j < len(true):
        if abs(ours[i] - true[j]) <= tolerance_secs + 1e-9:
            hits, i, j = hits + 1, i + 1, j + 1
        elif ours[i] < true[j]:
            i += 1
        else:
            j += 1
    return hits


def _validated(audio, name):
    if not isinstance(audio, audio_lib.Audio):
        raise ValueError(
            f"The {name} must be an Audio (samples with their rate), got {type(audio).__name__}. "
            "Read files with style_transfer.audio.load."
        )
    if not np.all(np.isfinite(audio.samples)):
        raise ValueError(f"The {name} holds NaN or infinite samples. Check how it was made.")
    samples = audio_lib.resample(audio, SAMPLE_RATE).samples
    if len(samples) < MEL_FFT_SIZE:
        raise ValueError(
            f"The {name} lasts {audio.duration_secs:.3f} s; measures need at least "
            f"{MEL_FFT_SIZE / SAMPLE_RATE} s (one analysis window). Give a longer clip."
        )
    return samples


def _same_length(candidate, reference):
    if len(candidate.samples) != len(reference.samples):
        raise ValueError(
            f"The candidate has {len(candidate.samples)} samples and the reference "
            f"{len(reference.samples)}. Cut or pad them: Clip(audio, num_samples)."
        )


def _validated_notes(notes, name):
    notes = np.asarray(notes, np.float64)
    if notes.size == 0:
        warnings.warn(f"The {name} notes are empty: onset F1 is 0.", stacklevel=3)
        return np.zeros((0, 2))
    if notes.ndim != 2 or notes.shape[1] != 2:
        raise ValueError(f"The {name} notes must be rows of (onset seconds, MIDI pitch), "
                         f"got shape {notes.shape}.")
    if not np.all(np.isfinite(notes)) or notes[:, 0].min() < 0:
        raise ValueError(f"The {name} notes hold negative or non-finite onsets or pitches.")
    if notes[:, 1].max() > 127.5 or notes[:, 1].min() < 0:
        raise ValueError(f"The {name} pitches span {notes[:, 1].min():g} to "
                         f"{notes[:, 1].max():g}; MIDI pitches are 0 to 127. Convert from Hz.")
    return np.stack([notes[:, 0], np.round(notes[:, 1])], axis=1)
