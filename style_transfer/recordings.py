"""Recordings decoded block by block: WAV and AIFF by libsndfile, all else by FFmpeg.

What a file is, its bytes say and not its name. FFmpeg comes with PyAV, inside its wheel.
"""

import io
import os
import warnings

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".m4a", ".mp4",
            ".aac", ".webm", ".wma")
MIN_RATE, MAX_RATE = 4_000, 400_000
MAX_CHANNELS = 32
BLOCK_FRAMES = 1 << 18
EXPECTED = ("Expected a recording such as WAV, FLAC, MP3, OGG or M4A; a music program, or "
            "`ffmpeg -i FILE take.wav`, converts others")
_BY_SNDFILE = (b"RIFF", b"RIFX", b"RF64", b"FORM")
_CUT_SHORT = 0.98  # of the length that a file says it has


class NotAudioError(ValueError):
    """What was given is no recording."""


class Bytes(io.BytesIO):
    """Bytes for libsndfile, which goes before their beginning where a damaged header tells it to.

    An error there could not be caught, and its traceback would be printed.
    """

    def seek(self, offset, whence=os.SEEK_SET):
        """Goes somewhere, to the beginning at the earliest."""
        try:
            return super().seek(offset, whence)
        except ValueError:
            return super().seek(0)


def check(rate, channels, name):
    """Raises ValueError for a rate or a number of channels that no recording has."""
    if not MIN_RATE <= rate <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(f"{name} says that it has {channels} channels of {rate} samples a second; "
                         f"expected 1 to {MAX_CHANNELS} of {MIN_RATE} to {MAX_RATE}. Export it "
                         "again.")


class Recording:
    """A recording that can be decoded several times, never held whole.

    Args:
        source: Its path, or its bytes.
        name: What messages call it.

    Attributes:
        rate: Samples per second.
        channels: How many.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no audio, or has a rate or a number of channels that no recording has.
    """

    def __init__(self, source, name):
        self._source, self._name, self._said = source, name, set()
        if not isinstance(source, bytes) and not os.path.isfile(source):
            raise FileNotFoundError(f"There is no audio file {name!r}.")
        found = self._by_sndfile() if self._head() in _BY_SNDFILE else None
        self._is_sndfile = found is not None
        self.rate, self.channels = found or self._by_ffmpeg()
        check(self.rate, self.channels, name)

    def blocks(self):
        """Float32 blocks `[frames, channels]` in their order."""
        return self._sndfile_blocks() if self._is_sndfile else self._ffmpeg_blocks()

    def _head(self):
        if isinstance(self._source, bytes):
            return self._source[:4]
        with open(self._source, "rb") as file:
            return file.read(4)

    def _handle(self):
        is_bytes = isinstance(self._source, bytes)
        return Bytes(self._source) if is_bytes else os.fspath(self._source)

    def _by_sndfile(self):
        """Rate and channels, or None where FFmpeg must do."""
        import soundfile

        try:
            with soundfile.SoundFile(self._handle()) as file:
                return file.samplerate, file.channels
        except (soundfile.LibsndfileError, TypeError):
            return None

    def _sndfile_blocks(self):
        import soundfile

        with soundfile.SoundFile(self._handle()) as file:
            try:
                while len(block := file.read(BLOCK_FRAMES, "float32", always_2d=True)):
                    yield block
            except soundfile.LibsndfileError as error:
                self._warn(f"could be read in part only ({error.error_string}). Export it again")

    def _by_ffmpeg(self):
        with self._container() as container:
            context = container.streams.audio[0].codec_context
            if context is None:
                raise NotAudioError(f"{self._name} holds sound of a kind that is not known. "
                                    f"{EXPECTED}.")
            return context.sample_rate or 0, context.channels

    def _container(self):
        try:
            import av
        except ImportError as error:
            raise ValueError(f"{self._name} takes PyAV to be read: `pip install av`, or convert it "
                             "to WAV.") from error
        try:
            container = av.open(self._handle(), **_tags(av))
        except (av.error.FFmpegError, ValueError) as error:
            raise NotAudioError(f"{self._name} is not audio that can be read "
                                f"({_reason(error)}). {EXPECTED}.") from error
        if not container.streams.audio:
            container.close()
            raise ValueError(f"{self._name} holds no sound. {EXPECTED}.")
        return container

    def _ffmpeg_blocks(self):
        import av

        with self._container() as container:
            stream, frames = container.streams.audio[0], 0
            said = stream.duration and float(stream.duration * stream.time_base)
            layout = stream.codec_context.layout.name
            converter, faults = None, []
            for frame in _decoded(container, stream, faults):
                # Parts that were joined to one file may differ in rate and channels.
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                if converter is None or converter[0] != kind:
                    converter = kind, av.AudioResampler("flt", layout, self.rate)
                for part in converter[1].resample(frame):
                    block = part.to_ndarray().reshape(-1, self.channels)
                    frames += len(block)
                    yield block
            if faults:
                self._warn(f"is damaged ({faults[0]}): {frames / self.rate:.1f} s of it could be "
                           "read. Export it again")
            elif said and frames < _CUT_SHORT * said * self.rate - self.rate / 10:
                self._warn(f"holds {frames / self.rate:.1f} s of the {said:.1f} s that it says it "
                           "has: is it whole? Export it again if not")

    def _warn(self, what):
        """Warns, once, however often the recording is decoded."""
        if what not in self._said:
            self._said.add(what)
            warnings.warn(f"{self._name} {what}.", stacklevel=4)


def _tags(av):
    """How PyAV takes tags that are no text; from its version 19 on it always takes them."""
    return {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def _decoded(container, stream, faults):
    """Frames of a stream; what cannot be decoded is passed over, and its reason put into a list."""
    import av

    packets, end = container.demux(stream), None
    # FFmpeg 8 passes over a damaged part of FLAC without a word; its frames say where they belong.
    is_numbered = container.format.name == "flac"
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            faults.append(_reason(error))
            return
        if packet is None:
            return
        try:
            for frame in packet.decode():
                if is_numbered and None not in (frame.pts, end) and frame.pts > end:
                    faults.append("a part is missing")
                end = (end or 0) + frame.samples if frame.pts is None else frame.pts + frame.samples
                yield frame
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            faults.append(_reason(error))


def _reason(error):
    return getattr(error, "strerror", None) or str(error)
