"""How far a sampled piano is from the model that it was sampled from.

    python -m benchmarks.instrument [PIANO.piano ...]

Each piano (by default the page's examples) is written as an SFZ instrument, of the keys that the
pieces have, and plays them through the package's own SFZ renderer; the model plays them too. Beside
their distance stands what differs between two renderings by the model itself, with other phases and
other noise: no instrument of samples can be nearer than that.
"""

import os
import pathlib
import platform
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
PIANOS = ROOT / "style_transfer" / "serving" / "app" / "examples"
PIECES = (PIANOS / "traeumerei.mid", ROOT / "examples" / "electric_grand.mid")
SECS = 20.0


def main(paths):
    from style_transfer import piano_roll, weights
    from style_transfer.models.piano_ddsp import instrument
    from style_transfer.models.piano_ddsp.piano import Piano
    from style_transfer.pipelines.rendering.sfz import SfzRenderer

    print(f"{os.cpu_count()} processors, {platform.machine()}, Python "
          f"{platform.python_version()}; load before: {os.getloadavg()[0]:.1f}")
    model = weights.load()
    tables = {piece.stem: piano_roll.note_table(piano_roll.load_midi(piece)) for piece in PIECES}
    keys = np.unique(np.concatenate([table.key for table in tables.values()]))
    for path in paths or sorted(PIANOS.glob("*.piano")):
        piano = Piano.load(path)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            written = instrument.save(
                model, piano, pathlib.Path(folder) / "piano",
                pitches=tuple(int(key) + piano_roll.LOWEST_PITCH for key in keys))
            took = time.monotonic() - begun
            size = sum(file.stat().st_size for file in written.parent.rglob("*.flac"))
            print(f"{piano.name}: {len(keys)} keys in {took:.1f} s, {size / 1e6:.1f} MB")
            renderer = SfzRenderer(written)
            for name, table in tables.items():
                sequence = piano_roll.to_sequence(table)
                sampled = renderer.render(sequence, model.sample_rate).samples
                own, other = (played(model, piano, table, seed) for seed in (0, 1))
                print(f"    {name:<16} sampled {distances(sampled, own, model.sample_rate)}   "
                      f"model again {distances(other, own, model.sample_rate)}", flush=True)


def played(model, piano, table, seed):
    from style_transfer.models.piano_ddsp import playing

    # The renderer knows no soft pedal.
    piano = piano.with_effects(soft_pedal_db=0.0)
    return np.concatenate(list(playing.play(model, piano, table, seed)))


def distances(ours, true, rate):
    """Log-mel L1 in dB and spectral loss, both with the 60 dB floor, of the first seconds."""
    from style_transfer.audio import Audio
    from style_transfer.evaluation import metrics

    clips = [metrics.Clip(Audio(np.float32(samples), rate), int(SECS * metrics.SAMPLE_RATE))
             for samples in (ours, true)]
    return (f"{metrics.log_mel_l1(*clips, 60.0):.2f} dB / "
            f"{metrics.spectral_loss(*clips, 60.0):.2f}")


if __name__ == "__main__":
    main([pathlib.Path(path) for path in sys.argv[1:]])
