"""Losses between two pieces of audio, as Keras losses with one value per clip."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from style_transfer import replicas
from style_transfer.signal import mel, spectral

FFT_SIZES = (2048, 1024, 512, 256, 128, 64)
MEL_SCALES = ((512, 64), (1024, 80), (2048, 128))
LOSS_TYPES = ("L1", "L2", "COSINE")
DB_PER_NEPER = 20 / math.log(10)
# A reference whose highest bin is below the first is digital silence, for which a floor relative
# to it would make inaudible noise count without bound; the second is its floor (at most -84 dBFS).
SILENT_PEAK = 1e-6
SILENCE_FLOOR = 1e-3


def sum_where(values, weight):
    """Sums of values and of their weights over time: `[batch, steps]` each to `[batch]` each."""
    return ops.sum(values * weight, axis=1), ops.sum(weight, axis=1)


def share_of_mean(total, weight):
    """`[batch]` whose mean is the sum of all totals over that of all weights, of all replicas."""
    return total / ops.maximum(replicas.mean(ops.mean(weight)), 1e-6)


def _per_clip(difference):
    return ops.mean(difference, axis=(1, 2))


def _relative_floor(target, floor_db):
    """Floor per clip, `[batch, 1, 1]`, `floor_db` below the target's highest bin."""
    peak = ops.max(target, axis=(1, 2), keepdims=True)
    floor = ops.where(peak < SILENT_PEAK, SILENCE_FLOOR, peak * 10 ** (-floor_db / 20))
    return ops.stop_gradient(floor)


def _floored_logs(target, value, floor_db, soft=False):
    floor = _relative_floor(target, floor_db)
    if soft:
        return ops.log(target + floor), ops.log(value + floor)
    return ops.log(ops.maximum(target, floor)), ops.log(ops.maximum(value, floor))


def _check_floor(floor_db):
    if floor_db is not None and floor_db <= 0:
        raise ValueError(
            f"floor_db is {floor_db}, expected dB below the target's peak, above 0 (such as 60)."
        )


@keras.saving.register_keras_serializable(package="style_transfer")
class MultiScaleSpectralLoss(keras.losses.Loss):
    """Difference of magnitude spectrograms, added up over several window sizes.

    Args:
        fft_sizes: Window lengths in samples, each with a hop of a quarter.
        loss_type: `L1`, `L2` or `COSINE` (one minus the cosine between two frames' spectra).
        mag_weight: Weight of the difference of linear magnitudes.
        delta_time_weight: Weight of the difference of their change in time.
        delta_freq_weight: Weight of the difference of their change along frequency.
        cumsum_freq_weight: Weight of the difference of their cumulative sum over frequency.
        logmag_weight: Weight of the difference of log magnitudes, in nepers.
        loudness_weight: Weight of the difference of A-weighted loudness in dB.
        floor_db: Log magnitudes are floored this many dB below the target's highest bin, for
            each clip and size; None takes the logarithm of whatever is there.
        soft_floor: Whether the floor is added rather than a maximum (see `PianoLoss`).
        center: Whether frames are centred (as the evaluation's metrics do) or start at the
            first sample (as DDSP does).
        sample_rate: Samples per second, for the loudness only.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.

    Source: Engel et al., "DDSP", 2020, eq. 4; held to ddsp 3.7 `losses.SpectralLoss`.
    """

    def __init__(self, fft_sizes: Sequence[int] = FFT_SIZES, loss_type: str = "L1",
                 mag_weight: float = 1.0, delta_time_weight: float = 0.0,
                 delta_freq_weight: float = 0.0, cumsum_freq_weight: float = 0.0,
                 logmag_weight: float = 0.0, loudness_weight: float = 0.0,
                 floor_db: float | None = None, soft_floor: bool = False, center: bool = False,
                 sample_rate: int = 16000, name: str = "spectral_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        _check_floor(floor_db)
        if loss_type.upper() not in LOSS_TYPES:
            raise ValueError(
                f"loss_type is {loss_type!r}, expected one of {', '.join(LOSS_TYPES)}."
            )
        self.fft_sizes = tuple(fft_sizes)
        self.loss_type = loss_type.upper()
        self.mag_weight = mag_weight
        self.delta_time_weight = delta_time_weight
        self.delta_freq_weight = delta_freq_weight
        self.cumsum_freq_weight = cumsum_freq_weight
        self.logmag_weight = logmag_weight
        self.loudness_weight = loudness_weight
        self.floor_db = floor_db
        self.soft_floor = soft_floor
        self.center = center
        self.sample_rate = sample_rate

    def call(self, y_true, y_pred):
        """Loss of each clip, `[batch]`; both arguments are audio `[batch, samples]`."""
        loss = 0.0
        for size in self.fft_sizes:
            target = spectral.compute_mag(y_true, size, center=self.center)
            value = spectral.compute_mag(y_pred, size, center=self.center)
            loss += self.magnitude_loss(target, value)
        if self.loudness_weight > 0:
            loss += self.loudness_weight * self._loudness_loss(y_true, y_pred)
        return loss

    def magnitude_loss(self, target, value):
        """Loss of each clip at one size, from magnitudes `[batch, frames, bins]`."""
        loss = 0.0
        if self.mag_weight > 0:
            loss += self.mag_weight * self._difference(target, value)
        if self.delta_time_weight > 0:
            change = [mag[:, 1:] - mag[:, :-1] for mag in (target, value)]
            loss += self.delta_time_weight * self._difference(*change)
        if self.delta_freq_weight > 0:
            change = [mag[..., 1:] - mag[..., :-1] for mag in (target, value)]
            loss += self.delta_freq_weight * self._difference(*change)
        if self.cumsum_freq_weight > 0:
            sums = [ops.cumsum(mag, axis=2) for mag in (target, value)]
            loss += self.cumsum_freq_weight * self._difference(*sums)
        if self.logmag_weight > 0:
            loss += self.logmag_weight * self._difference(*self._logs(target, value))
        return loss

    def _logs(self, target, value):
        if self.floor_db is None:
            return spectral.safe_log(target), spectral.safe_log(value)
        return _floored_logs(target, value, self.floor_db, self.soft_floor)

    def _difference(self, target, value):
        if self.loss_type == "L1":
            return _per_clip(ops.abs(target - value))
        if self.loss_type == "L2":
            return _per_clip(ops.square(target - value))
        return 1.0 - ops.mean(
            ops.sum(ops.normalize(target, axis=-1) * ops.normalize(value, axis=-1), axis=-1),
            axis=1,
        )

    def _loudness_loss(self, y_true, y_pred):
        loudness_db = [
            spectral.compute_loudness(audio, self.sample_rate, n_fft=2048)[:, :, None]
            for audio in (y_true, y_pred)
        ]
        return self._difference(*loudness_db)

    def get_config(self):
        """Arguments of the constructor."""
        names = ("fft_sizes", "loss_type", "mag_weight", "delta_time_weight",
                 "delta_freq_weight", "cumsum_freq_weight", "logmag_weight", "loudness_weight",
                 "floor_db", "soft_floor", "center", "sample_rate")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="style_transfer")
class LogMelLoss(keras.losses.Loss):
    """Mean absolute difference of log-mel magnitudes in dB, averaged over window sizes.

    Args:
        sample_rate: Samples per second of both arguments.
        scales: Pairs of window length in samples (hop a quarter) and number of mel bands.
        floor_db: Levels are floored this many dB below the target's highest band, for each
            clip and scale.
        soft_floor: Whether the floor is added rather than a maximum (see `PianoLoss`).
        name: Name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.

    Source: held to the `logmel_l1` of the evaluation.
    """

    def __init__(self, sample_rate: int = 24000, scales: Sequence[tuple[int, int]] = MEL_SCALES,
                 floor_db: float = 60.0, soft_floor: bool = False, name: str = "logmel_loss",
                 **kwargs):
        super().__init__(name=name, **kwargs)
        _check_floor(floor_db)
        self.sample_rate = sample_rate
        self.scales = tuple((int(size), int(bands)) for size, bands in scales)
        self.floor_db = floor_db
        self.soft_floor = soft_floor

    def call(self, y_true, y_pred):
        """Loss of each clip in dB, `[batch]`; both arguments are audio `[batch, samples]`."""
        return sum(
            self.magnitude_loss(
                size,
                spectral.compute_mag(y_true, size, center=True),
                spectral.compute_mag(y_pred, size, center=True),
            )
            for size in dict.fromkeys(size for size, _ in self.scales)
        )

    def magnitude_loss(self, size: int, target, value):
        """One scale's part of the loss, from magnitudes `[batch, frames, bins]`; 0 if unused."""
        loss = 0.0
        for fft_size, bands in self.scales:
            if fft_size == size:
                matrix = mel.matrix(self.sample_rate, size, bands)
                true, ours = (ops.matmul(mag, matrix) for mag in (target, value))
                logs = _floored_logs(true, ours, self.floor_db, self.soft_floor)
                loss += _per_clip(ops.abs(logs[0] - logs[1]))
        return loss * DB_PER_NEPER / len(self.scales)

    def get_config(self):
        """Arguments of the constructor."""
        return {**super().get_config(), "sample_rate": self.sample_rate,
                "scales": self.scales, "floor_db": self.floor_db,
                "soft_floor": self.soft_floor}


@keras.saving.register_keras_serializable(package="style_transfer")
class PianoLoss(keras.losses.Loss):
    """What the piano model trains with: floored spectral loss plus weighted log-mel loss.

    Both terms equal the evaluation's metrics and share one spectrogram per window size.

    Args:
        sample_rate: Samples per second of both arguments.
        fft_sizes: Window lengths of the spectral loss.
        mel_scales: Window lengths and band counts of the log-mel loss.
        floor_db: Floor of both logarithms, dB below the target's peak.
        soft_floor: Whether the floor is added rather than a maximum: what is below it then
            still gets a gradient, so that silence can learn to sound. False is the metric.
        mag_weight: Weight of linear magnitudes.
        logmag_weight: Weight of log magnitudes, in nepers.
        logmel_weight: Weight of the log-mel loss, here in nepers (dB / 8.686), so that 1 puts
            it on a par with one window size of log magnitudes.
        reference_rms_db: Both clips are first scaled by the one gain that brings the target to
            this RMS, so that quiet clips' linear magnitudes count as much as loud ones'
            (the metrics use -25); None leaves levels as they are.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.
    """

    def __init__(self, sample_rate: int = 24000, fft_sizes: Sequence[int] = FFT_SIZES,
                 mel_scales: Sequence[tuple[int, int]] = MEL_SCALES, floor_db: float = 60.0,
                 soft_floor: bool = False, mag_weight: float = 1.0, logmag_weight: float = 1.0,
                 logmel_weight: float = 1.0, reference_rms_db: float | None = None,
                 name: str = "piano_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.sample_rate = sample_rate
        self.fft_sizes = tuple(fft_sizes)
        self.mel_scales = tuple((int(size), int(bands)) for size, bands in mel_scales)
        self.floor_db = floor_db
        self.soft_floor = soft_floor
        self.mag_weight = mag_weight
        self.logmag_weight = logmag_weight
        self.logmel_weight = logmel_weight
        self.reference_rms_db = reference_rms_db
        self.spectral_loss = MultiScaleSpectralLoss(
            fft_sizes, mag_weight=mag_weight, logmag_weight=logmag_weight, floor_db=floor_db,
            soft_floor=soft_floor,
        )
        self.logmel_loss = LogMelLoss(sample_rate, mel_scales, floor_db, soft_floor)

    def call(self, y_true, y_pred):
        """Loss of each clip, `[batch]`, of audio `[batch, samples]` or expected magnitudes."""
        if isinstance(y_pred, dict):
            return self.expected(y_true, y_pred)
        terms = self.terms(y_true, y_pred)
        return terms["spectral"] + self.logmel_weight / DB_PER_NEPER * terms["logmel_db"]

    def expected(self, y_true, magnitudes):
        """Loss of each clip, `[batch]`, from the magnitudes that a model expects.

        Args:
            y_true: Audio `[batch, samples]`.
            magnitudes: From `PianoDDSP.expected_magnitudes`, in place of audio and of `fft_sizes`.
        """
        scales = [size for size, _ in self.mel_scales]
        share = len(scales) / max(1, sum(size in magnitudes for size in scales))
        gain = 1.0 if self.reference_rms_db is None else self._gain(y_true)[..., None]
        total = 0.0
        for size, value in magnitudes.items():
            target, value = gain * spectral.sparse_mag(y_true, size), gain * value
            total += self.spectral_loss.magnitude_loss(target, value)
            if self.logmel_weight:
                logmel_db = self.logmel_loss.magnitude_loss(size, target, value)
                total += self.logmel_weight / DB_PER_NEPER * share * logmel_db
        return total

    def terms(self, y_true, y_pred):
        """The unweighted metrics of each clip: `spectral` and `logmel_db`, `[batch]` each."""
        if self.reference_rms_db is not None:
            gain = self._gain(y_true)
            y_true, y_pred = y_true * gain, y_pred * gain
        spectral_loss = logmel_db = ops.zeros_like(y_true[:, 0])
        mel_sizes = [size for size, _ in self.mel_scales] if self.logmel_weight else []
        for size in dict.fromkeys((*self.fft_sizes, *mel_sizes)):
            target = spectral.compute_mag(y_true, size, center=True)
            value = spectral.compute_mag(y_pred, size, center=True)
            if size in self.fft_sizes:
                spectral_loss += self.spectral_loss.magnitude_loss(target, value)
            if size in mel_sizes:
                logmel_db += self.logmel_loss.magnitude_loss(size, target, value)
        return {"spectral": spectral_loss, "logmel_db": logmel_db}

    def _gain(self, y_true):
        power = ops.mean(ops.square(y_true), axis=1, keepdims=True)
        return 10 ** (self.reference_rms_db / 20) * ops.rsqrt(ops.maximum(power, 1e-8))

    def get_config(self):
        """Arguments of the constructor."""
        names = ("sample_rate", "fft_sizes", "mel_scales", "floor_db", "soft_floor", "mag_weight",
                 "logmag_weight", "logmel_weight", "reference_rms_db")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
