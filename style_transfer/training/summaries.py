"""TensorBoard files, written without TensorFlow, so that every backend has them."""

import io
import pathlib

import numpy as np

from style_transfer import audio
from style_transfer.signal import mel as mel_lib
from style_transfer.training import projector

PICTURE_RANGE_DB = 80.0
PICTURE_BANDS = 128
LOWEST_HZ = 30.0
_FFT_SIZE = 2048


class SummaryWriter:
    """Writes scalars, audio and pictures for TensorBoard.

    Args:
        directory: Where the event files go; made if missing.
        start_step: What an earlier process logged after this step is hidden, since it is being
            done again.
    """

    def __init__(self, directory, start_step=0):
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._directory = pathlib.Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._writer = EventFileWriter(str(directory))
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(start_step + 1, session_log=start)

    def scalars(self, step, values):
        """Writes a dict of numbers."""
        self._write(step, [{"tag": tag, "simple_value": float(value)}
                           for tag, value in values.items()])

    def audio(self, step, tag, clip):
        """Writes an `Audio` to listen to."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        encoded = Summary.Audio(sample_rate=clip.sample_rate, num_channels=1,
                                length_frames=len(clip.samples), content_type="audio/wav",
                                encoded_audio_string=_wav_bytes(clip))
        self._write(step, [{"tag": tag, "audio": encoded}])

    def picture(self, step, tag, pixels):
        """Writes a picture, uint8 `[height, width, 3]`."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="png")
        height, width, _ = pixels.shape
        encoded = Summary.Image(height=height, width=width, colorspace=3,
                                encoded_image_string=buffer.getvalue())
        self._write(step, [{"tag": tag, "image": encoded}])

    def embeddings(self, found):
        """Writes a list of `projector.Embedding` in place of those there are."""
        projector.write(self._directory, found)

    def flush(self):
        """Makes what was written visible to TensorBoard."""
        self._writer.flush()

    def close(self):
        """Flushes and closes the file."""
        self._writer.close()

    def _write(self, step, values):
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, summary=Summary(value=[Summary.Value(**value) for value in values]))

    def _add(self, step, **content):
        import time

        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))


def comparison_picture(target, prediction):
    """Mel spectrograms of two clips, the target above the prediction, on one scale in dB.

    Args:
        target: `Audio`.
        prediction: `Audio` of the same rate.

    Returns:
        uint8 `[2 * PICTURE_BANDS + 4, frames, 3]`; the target's peak is brightest.
    """
    from matplotlib import colormaps

    levels = [_mel_db(clip) for clip in (target, prediction)]
    top = max(levels[0].max(), -PICTURE_RANGE_DB)
    gap = np.full((4, levels[0].shape[1]), top)
    brightness = np.concatenate([levels[0], gap, levels[1]]) - top
    scaled = np.clip(1.0 + brightness / PICTURE_RANGE_DB, 0.0, 1.0)
    return (colormaps["magma"](scaled)[..., :3] * 255).astype(np.uint8)


def roll_picture(target, prediction):
    """Piano rolls of labels above a model's, sounding keys and onsets.

    Args:
        target: Dict with `frame` and `onset`, `[frames, 88]` in [0, 1].
        prediction: The same as logits.

    Returns:
        uint8 `[2 * 88 + 2, frames, 3]`, highest key first: frames green, onsets red; labels over
        the prediction.
    """
    labels = (target["frame"], target["onset"])
    found = (_sigmoid(prediction["frame"]), _sigmoid(prediction["onset"]))
    rolls = []
    for frame, onset in (labels, found):
        pixels = np.stack([onset, frame * (1 - onset), 0.5 * frame * (1 - onset)], axis=-1)
        rolls.append(pixels[:, ::-1].swapaxes(0, 1))
    gap = np.ones((2, *rolls[0].shape[1:]))
    return (np.clip(np.concatenate([rolls[0], gap, rolls[1]]), 0, 1) * 255).astype(np.uint8)


def thumbnail(clip, size=48):
    """A clip's mel spectrogram as a small square picture, uint8 `[size, size, 3]`."""
    from matplotlib import colormaps

    level = _mel_db(clip)
    rows, columns = (np.linspace(0, length, size, endpoint=False).astype(int)
                     for length in level.shape)
    level = np.maximum.reduceat(np.maximum.reduceat(level, rows, axis=0), columns, axis=1)
    scaled = np.clip(1.0 + (level - level.max()) / PICTURE_RANGE_DB, 0.0, 1.0)
    return (colormaps["magma"](scaled)[..., :3] * 255).astype(np.uint8)


def _sigmoid(logits):
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -50, 50)))


def _mel_db(clip):
    """`[bands, frames]`, highest band first."""
    hop = _FFT_SIZE // 4
    padded = np.pad(clip.samples, (_FFT_SIZE // 2, _FFT_SIZE))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SIZE)[::hop]
    frames = frames[:len(clip.samples) // hop + 1]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FFT_SIZE), axis=1)) ** 2
    mel = power @ _mel_filters(clip.sample_rate).T
    return 10 * np.log10(mel.T[::-1] + 1e-10)


def _mel_filters(sample_rate):
    """Triangular filters evenly spaced in mel, `[bands, bins]`."""
    bins = mel_lib.from_hz(np.fft.rfftfreq(_FFT_SIZE, 1.0 / sample_rate))
    edges = np.linspace(mel_lib.from_hz(LOWEST_HZ), mel_lib.from_hz(sample_rate / 2),
                        PICTURE_BANDS + 2)
    # At low frequencies a band is narrower than a bin: it then takes its share of the nearest.
    width = np.maximum(edges[1] - edges[0], np.gradient(bins))
    return np.maximum(0.0, 1.0 - np.abs(bins - edges[1:-1, None]) / width)


def _wav_bytes(clip):
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(clip.samples, -1.0, 1.0), clip.sample_rate, format="WAV",
                    subtype="PCM_16")
    return buffer.getvalue()


def make_audio(samples, sample_rate):
    """`Audio` of one clip of a batch."""
    return audio.Audio(np.nan_to_num(np.asarray(samples, np.float32)), sample_rate)


class AudioExamples:
    """Shows examples of an evaluation as audio and spectrograms; targets are heard once.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate):
        self._sample_rate, self._heard = sample_rate, set()

    def __call__(self, writer, step, tag, target, prediction):
        """See `configs.Config.build_example_writer`."""
        target, prediction = (make_audio(samples, self._sample_rate)
                              for samples in (target, prediction))
        if tag not in self._heard:
            writer.audio(step, f"{tag}/target", target)
            self._heard.add(tag)
        writer.audio(step, f"{tag}/prediction", prediction)
        writer.picture(step, f"{tag}/target_over_prediction",
                       comparison_picture(target, prediction))


def write_rolls(writer, step, tag, target, prediction):
    """Shows an example of a transcription model, see `configs.Config.build_example_writer`."""
    writer.picture(step, f"{tag}/target_over_prediction", roll_picture(target, prediction))
