"""What is known of a piano: enough to play anything on it, small enough to mail."""

import dataclasses
import io
import json
import os
import pathlib
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from style_transfer import files
from style_transfer.measure import high_band, stereo
from style_transfer.piano_roll import NUM_KEYS
from style_transfer.synthesis import sympathetic, una_corda

if TYPE_CHECKING:
    from matplotlib import figure

FORMAT = "style_transfer.piano/1"
SUFFIX = ".piano"
_ARRAYS = ("style", "f0_hz", "inharmonicity", "noise_floor_db")
CORRECTIONS = ("by_key", "by_velocity", "room")
# Older files have but the first.
_SCALARS: dict[str, Any] = {"loudness_db": float, "soft_pedal_db": float, "coupling": float,
                            "half_pedal": bool}
EFFECTS = ("soft_pedal_db", "coupling", "half_pedal")
_CONTENT_BYTES = 1 << 24  # a real one holds some 50 kB
_LOUDNESS_DB = (-200.0, 20.0)
BASE_RATE, FULL_RATE = 24_000, 44_100


def check_effects(soft_pedal_db: float | None = None, coupling: float | None = None,
                  half_pedal: bool | None = None) -> None:
    """Raises ValueError unless a piano can have these effects; None is its own."""
    una_corda.check(soft_pedal_db or 0.0)
    if not 0 <= (coupling or 0.0) <= sympathetic.MAX_COUPLING:
        raise ValueError(f"coupling must be 0 (none) to {sympathetic.MAX_COUPLING:g}, got "
                         f"{coupling}.")
    if half_pedal not in (None, False, True):
        raise ValueError(f"half_pedal must be True, False or None, got {half_pedal!r}.")


@dataclasses.dataclass(frozen=True)
class Piano:
    """A piano as estimated from a clip. It holds no audio and no copy of the net.

    Attributes:
        style: Style vector, float32 `[style_size]`.
        f0_hz: Fundamental of each key, float32 `[88]`, Hz.
        inharmonicity: Stiffness B of each key, float32 `[88]`.
        loudness_db: RMS level of the clip, dB full scale; what is played is brought to it.
        noise_floor_db: Level of the clip's noise in mel bands, dB, float32 `[bands]`.
        high_band_db: Levels of what is extrapolated above 11.5 kHz, dB, float32 `[17]`, see
            `measure.high_band`; empty where the clip did not tell, and nothing is played there.
        image: Its `measure.stereo.Image`, or None where the clip is mono.
        corrections: What adaptation adds to the note net's outputs (`by_key`, `by_velocity`) and
            to the room (`room`), or None.
        soft_pedal_db: What the soft pedal takes away, see `una_corda.soften`.
        coupling: Between strings of different keys, see `sympathetic.answers`; 0 is none.
        half_pedal: Whether its dampers follow the pedal all the way, see `dampers.Clock`.
        name: For people.
        weights: Name of the weights that the style vector belongs to.
    """

    style: np.ndarray
    f0_hz: np.ndarray
    inharmonicity: np.ndarray
    loudness_db: float
    noise_floor_db: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    high_band_db: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    image: stereo.Image | None = None
    corrections: dict | None = None
    soft_pedal_db: float = una_corda.DEFAULT_DB
    coupling: float = 0.0
    half_pedal: bool = False
    name: str = "piano"
    weights: str = ""

    def with_effects(self, **effects: Any) -> "Piano":
        """With other `EFFECTS`; those that are None stay."""
        return dataclasses.replace(self, **{name: value for name, value in effects.items()
                                            if value is not None})

    @property
    def channels(self) -> int:
        """As many as its clip has: 1 or 2."""
        return 1 if self.image is None else 2

    @property
    def sample_rate(self) -> int:
        """The least usual rate, Hz, that holds all that is known of it."""
        return FULL_RATE if np.any(self.high_band_db > high_band.NOTHING_DB) else BASE_RATE

    def plot(self) -> "figure.Figure":
        """Tuning and stiffness of each key, a matplotlib `Figure`."""
        from style_transfer.models.piano_ddsp import picture

        return picture.piano_figure(self)

    def _repr_png_(self) -> bytes:
        """The plot, in a notebook."""
        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png", dpi=90)
        return buffer.getvalue()

    def save(self, path: str | os.PathLike) -> None:
        """Writes the piano as a `.piano` file (arrays and JSON in a zip), whole or not at all."""
        path = pathlib.Path(path)
        if path.suffix != SUFFIX:
            raise ValueError(f"A piano is saved as *{SUFFIX}, got {path.name!r}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"corrections.{k}": v for k, v in (self.corrections or {}).items()}
        arrays |= {"high_band_db": self.high_band_db} if len(self.high_band_db) else {}
        arrays |= {f"image.{k}": v for k, v in vars(self.image).items()} if self.image else {}
        about = {"format": FORMAT, "name": self.name, "weights": self.weights,
                 **{name: kind(getattr(self, name)) for name, kind in _SCALARS.items()}}
        with (files.written_whole(path) as partial,
              zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive):
            archive.writestr("piano.json", json.dumps(about, indent=1))
            for name, value in arrays.items():
                buffer = io.BytesIO()
                np.save(buffer, np.asarray(value, np.float32), allow_pickle=False)
                archive.writestr(f"{name}.npy", buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Piano":
        """Reads a `.piano` file; one of unknown origin can do no more than be refused.

        Raises:
            FileNotFoundError: There is no such file.
            TypeError: `path` is no path.
            ValueError: It is no piano, damaged, or its arrays have unexpected shapes.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"Pianos are read from a path, got {type(path).__name__}.")
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no piano {str(path)!r}.")
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
                if size > _CONTENT_BYTES:
                    raise ValueError(f"{size} bytes of content, at most {_CONTENT_BYTES} expected")
                about = json.loads(archive.read("piano.json"))
                arrays = {name[:-4]: np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
                          for name in archive.namelist() if name.endswith(".npy")}
            if about.get("format") != FORMAT:
                raise KeyError(f"format {about.get('format')!r}")
            corrections = {k: arrays[f"corrections.{k}"] for k in CORRECTIONS
                           if f"corrections.{k}" in arrays}
            image = {k: arrays[f"image.{k}"] for k in stereo.SHAPES if f"image.{k}" in arrays}
            piano = cls(**{name: arrays[name] for name in _ARRAYS}, corrections=corrections or None,
                        image=stereo.Image(**image) if image else None,
                        high_band_db=arrays.get("high_band_db", np.zeros(0, np.float32)),
                        name=str(about["name"]), weights=str(about["weights"]),
                        **{n: kind(about[n]) for n, kind in _SCALARS.items() if n in about})
        except Exception as error:  # what a damaged or hostile file raises is anyone's guess
            raise ValueError(
                f"{str(path)!r} is not a piano saved by style_transfer ({files.reason(error)}). "
                "Make one with --save_piano."
            ) from error
        if piano.f0_hz.shape != (NUM_KEYS,) or piano.inharmonicity.shape != (NUM_KEYS,):
            raise ValueError(f"{str(path)!r} holds {piano.f0_hz.shape} keys, expected "
                             f"({NUM_KEYS},).")
        piano._check_values(str(path))
        return piano

    def _check_values(self, name):
        arrays = [getattr(self, array) for array in _ARRAYS]
        arrays += [*(self.corrections or {}).values(), self.high_band_db]
        arrays += vars(self.image).values() if self.image else ()
        finite = all(a.dtype == np.float32 and np.all(np.isfinite(a)) for a in arrays)
        low, high = _LOUDNESS_DB
        imaged = self.image is None or self.image.is_sound()
        banded = self.high_band_db.shape in ((0,), (high_band.NUM_BANDS,))
        if not (finite and imaged and banded and np.all(self.f0_hz > 0)
                and np.all(self.inharmonicity >= 0)
                and low <= self.loudness_db <= high
                and 0 <= self.soft_pedal_db <= una_corda.MAX_DB
                and 0 <= self.coupling <= sympathetic.MAX_COUPLING):
            raise ValueError(f"{name!r} holds numbers that no piano has. Estimate it again from "
                             "its clip.")
