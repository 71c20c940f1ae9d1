"""Makes the example pianos of the web page (style_transfer/serving/app/examples/*.piano).

Each is a piano of a soundfont, estimated by `style_transfer_generate` as any user's would be, from
ten seconds of the study in `make_piece.py` and its notes. They hold no audio. New weights need new
pianos: run this again then. Beside each lies what the soundfont itself makes of the example pieces,
as loud (`PIANO.PIECE.mp3`), to compare with; `--truth` makes these alone.
Usage: python examples/make_pianos.py SOUNDFONT [--truth]
"""

import pathlib
import runpy
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
TARGET = HERE.parent / "style_transfer" / "serving" / "app" / "examples"
# Names for people, and the General MIDI programs (from 0) that FluidR3 GM plays them with.
PROGRAMS = {"Concert grand": 0, "Electric grand": 2, "Honky-tonk upright": 3,
            "Tine electric piano": 4}
TRUTH_RATE = 24_000
TRUTH_COMPRESSION = 0.85  # some 40 kbit/s


def make(name, program, soundfont, target, folder):
    """Writes the piano of one program of the soundfont."""
    make_piece = runpy.run_path(str(HERE / "make_piece.py"))
    midi, clip = folder / "study.mid", folder / f"{name}.flac"
    study = make_piece["study"]()
    for track in study.tracks:
        for i, message in enumerate(track):
            if message.type == "program_change":
                track[i] = message.copy(program=program)
    study.save(midi)
    make_piece["render_clip"](midi, soundfont, clip)
    subprocess.run(
        [sys.executable,
         "-m", "style_transfer.scripts.style_transfer_generate", f"--content={midi}",
         f"--style={clip}", f"--style_midi={midi}", f"--save_piano={target}",
         f"--output_dir={folder / 'out'}", "--nopicture", "--overwrite"],
        check=True, cwd=HERE.parent)


def make_truth(piano, program, soundfont):
    """Writes the example pieces as a program of the soundfont plays them."""
    import soundfile

    from style_transfer import audio, piano_roll
    from style_transfer.models.piano_ddsp.piano import Piano
    from style_transfer.pipelines.rendering.soundfont import SoundfontRenderer

    renderer = SoundfontRenderer(soundfont, program, effects=False)
    for piece in sorted(TARGET.glob("*.mid")):
        played = renderer.render(piano_roll.load_midi(piece), TRUTH_RATE)
        played = audio.at_loudness(played, Piano.load(piano).loudness_db)
        soundfile.write(piano.with_name(f"{piano.stem}.{piece.stem}.mp3"), played.samples,
                        TRUTH_RATE, format="MP3", subtype="MPEG_LAYER_III",
                        compression_level=TRUTH_COMPRESSION)


def main(argv):
    """Writes all of them."""
    if len(argv) < 2 or argv[2:] not in ([], ["--truth"]):
        sys.exit(__doc__)
    TARGET.mkdir(exist_ok=True)
    soundfont = pathlib.Path(argv[1]).resolve()
    for name, program in PROGRAMS.items():
        target = TARGET / (name.lower().replace(" ", "_").replace("-", "_") + ".piano")
        if not argv[2:]:
            with tempfile.TemporaryDirectory() as folder:
                make(name, program, soundfont, target, pathlib.Path(folder))
        make_truth(target, program, soundfont)


if __name__ == "__main__":
    main(sys.argv)
