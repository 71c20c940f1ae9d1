"""The SS-VQ-VAE paper's measures, computed as its authors compute them; its LSD is in `metrics`.

Pitches are heard by Essentia's MELODIA, which is optional: it is AGPL, and there are builds for
Python 3.10 and 3.11 on x86-64 alone. Timbre is told by a triplet network trained here, since its
authors do not publish theirs, so that figures of timbre compare systems among each other, and with
the paper only roughly.

Source: Cífka et al., Self-supervised VQ-VAE for one-shot music style transfer, 2021, and the
evaluation notebook published with it.
"""

import functools
import importlib.util

import numpy as np

from style_transfer.evaluation import metrics

PITCH_RATE = 8_000  # what its equal-loudness filter knows
CRASH_NOISE = 1e-4  # without it MELODIA crashes on exact silence
HOP_SAMPLES = metrics.MFCC_HOP_SAMPLES
INSTALL_HINT = "pip install essentia  # Python 3.10 or 3.11, x86-64"
WEIGHTS = "timbre_metric"


def hears_pitch():
    """Whether Essentia is installed."""
    return importlib.util.find_spec("essentia") is not None


def knows_timbre():
    """Whether there are weights of the triplet network."""
    from style_transfer import weights

    return WEIGHTS in weights.names()


def versions(with_timbre):
    """What decides the distance of timbre, beside the code: a hash of its weights, or None."""
    from style_transfer import weights
    from style_transfer.evaluation import pairs

    folder = weights.folder(WEIGHTS) if with_timbre else None
    return folder and pairs.files_hash([folder / weights.WEIGHTS_FILE])


def pitch_jaccard(candidate, reference):
    """Jaccard distance of the pitches that are heard in each frame, mean over frames.

    Args:
        candidate: A `metrics.Clip`.
        reference: A `metrics.Clip` of the same length.

    Returns:
        0 to 1. Frames in which nothing is heard of either count 0.

    Raises:
        ModuleNotFoundError: Essentia is not installed.
    """
    ours, true = heard_pitches(candidate), heard_pitches(reference)
    return float(np.mean([1 - len(a & b) / len(a | b) if a | b else 0.0
                          for a, b in zip(ours, true, strict=True)]))


@functools.lru_cache(maxsize=4)
def heard_pitches(clip):
    """MIDI pitches that MELODIA hears in each frame of a `metrics.Clip`: a list of sets."""
    standard = _essentia()
    audio = standard.Resample(inputSampleRate=metrics.SAMPLE_RATE,
                              outputSampleRate=PITCH_RATE)(clip.samples)
    audio = standard.EqualLoudness(sampleRate=PITCH_RATE)(audio)
    rng = np.random.default_rng(int(np.sum(audio > 0)))
    audio = rng.normal(audio, CRASH_NOISE).astype(np.float32)
    frames = standard.MultiPitchMelodia(sampleRate=PITCH_RATE)(audio)
    return [{int(12 * np.log2(hz / 440) + 69.5) for hz in frame if hz > 1e-8} for frame in frames]


@functools.cache
def _essentia():
    if not hears_pitch():
        raise ModuleNotFoundError(f"The pitch distance needs Essentia: {INSTALL_HINT}.")
    import essentia

    essentia.log.infoActive = False
    import essentia.standard

    return essentia.standard


def timbre_distance(candidate, reference):
    """One minus the cosine of the vectors that the triplet network gives two clips.

    Args:
        candidate: A `metrics.Clip`; one under 4 s is heard over and over.
        reference: A `metrics.Clip`; lengths need not match.

    Returns:
        0 to 1 (the network's vectors are not negative).

    Raises:
        FileNotFoundError: The package has no such weights.
    """
    ours, true = (_timbre(clip) for clip in (candidate, reference))
    return float(1 - ours @ true / (np.linalg.norm(ours) * np.linalg.norm(true) + 1e-12))


def mfcc(samples):
    """MFCC 2 to 13 of audio at 16 kHz, `[frames, 12]`."""
    import librosa

    return librosa.feature.mfcc(y=samples, sr=metrics.SAMPLE_RATE, n_mfcc=metrics.NUM_MFCC,
                                hop_length=HOP_SAMPLES)[1:].T.astype(np.float32)


@functools.lru_cache(maxsize=4)
def _timbre(clip):
    from keras import ops

    net, found = _net(), mfcc(clip.samples)
    found = np.tile(found, (-(-net.min_frames // len(found)), 1))
    return ops.convert_to_numpy(net.embed(found[None]))[0]


@functools.cache
def _net():
    from style_transfer import weights

    return weights.load(WEIGHTS)
