"""Makes the example pianos of the web page (style_transfer/serving/app/examples/*.piano).

Each is a piano of a soundfont, estimated by `style_transfer_generate` as any user's would be, from
ten seconds of the study in `make_piece.py` and its notes. They hold no audio. New weights need new
pianos: run this again then. Usage: python examples/make_pianos.py SOUNDFONT
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


def make(name, program, soundfont, folder):
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
    target = TARGET / (name.lower().replace(" ", "_").replace("-", "_") + ".piano")
    subprocess.run(
        [sys.executable,
         "-m", "style_transfer.scripts.style_transfer_generate", f"--content={midi}",
         f"--style={clip}", f"--style_midi={midi}", f"--save_piano={target}",
         f"--output_dir={folder / 'out'}", "--nopicture", "--overwrite"],
        check=True, cwd=HERE.parent)


def main(argv):
    """Writes all of them."""
    if len(argv) != 2:
        sys.exit(__doc__)
    TARGET.mkdir(exist_ok=True)
    for name, program in PROGRAMS.items():
        with tempfile.TemporaryDirectory() as folder:
            make(name, program, pathlib.Path(argv[1]).resolve(), pathlib.Path(folder))


if __name__ == "__main__":
    main(sys.argv)
