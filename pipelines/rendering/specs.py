"""From what a user names (a soundfont, an SFZ file, a folder, `procedural:20`) to renderers."""

import os
import pathlib
import re

from style_transfer.pipelines.rendering.base import Renderer

_PRESET = re.compile(r"(.*\.sf[23]):(\d+):(\d+)", re.IGNORECASE)


def remarks(renderers) -> list[str]:
    """Sentences on what of these pianos is not played, each once."""
    lines = [line for renderer in renderers for line in getattr(renderer, "remarks", list)()]
    return list(dict.fromkeys(lines))


def renderers_from(spec: str | os.PathLike, seed: int = 0, dry: bool = False,
                   any_program: bool = False) -> list[Renderer]:
    """Renderers of all pianos that `spec` names.

    Args:
        spec: A `.sf2` or `.sf3` file (its presets of programs 0-7), an `.sfz` file, a folder of
            them (searched to any depth), or `procedural:N` for the N procedural pianos of `seed`,
            or `procedural:seed=S` for the one of seed S.
        seed: Seed of procedural pianos and of random choices in sample sets.
        dry: Soundfonts without FluidSynth's reverb and chorus, procedural pianos without a room.
        any_program: Soundfonts' presets of all melodic programs (0-111) rather than the pianos',
            and procedural instruments of all kinds rather than pianos.

    Returns:
        A non-empty list of `Renderer`.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It names no piano.
    """
    spec = str(spec)
    if spec.startswith("procedural:"):
        return _procedural(spec, seed, dry, any_program)
    preset = _PRESET.fullmatch(spec)
    if preset and not os.path.exists(spec):
        from style_transfer.pipelines.rendering.soundfont import SoundfontRenderer

        file, bank, program = preset.groups()
        return [SoundfontRenderer(file, int(program), effects=not dry, bank=int(bank))]
    path = pathlib.Path(spec)
    if path.is_dir():
        return _from_folder(path, seed, dry, any_program)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no soundfont or SFZ file {spec!r}. Expected a .sf2 or .sfz file, a folder "
            "of them, or procedural:N.")
    suffix = path.suffix.lower()
    if suffix == ".sfz":
        from style_transfer.pipelines.rendering.sfz import SfzRenderer

        return [SfzRenderer(path, seed=seed)]
    if suffix in (".sf2", ".sf3"):
        from style_transfer.pipelines.rendering import soundfont

        programs = soundfont.MELODIC_PROGRAMS if any_program else soundfont.PIANO_PROGRAMS
        return soundfont.presets(path, effects=not dry, programs=programs)
    raise ValueError(f"{spec!r} is neither .sf2, .sf3 nor .sfz, nor a folder or procedural:N.")


def _from_folder(path, seed, dry, any_program):
    files = sorted(file for file in path.rglob("*")
                   if file.suffix.lower() in (".sf2", ".sf3", ".sfz") and file.is_file())
    if not files:
        raise ValueError(f"The folder {str(path)!r} holds no .sf2, .sf3 or .sfz file.")
    return [renderer for file in files for renderer in renderers_from(file, seed, dry, any_program)]


def _procedural(spec, seed, dry, any_program):
    if any_program:
        from style_transfer.pipelines.rendering.procedural_instrument import (
            InstrumentRenderer as Made,
        )
    else:
        from style_transfer.pipelines.rendering.procedural import ProceduralRenderer as Made

    argument = spec.split(":", 1)[1]
    single = argument.startswith("seed=")
    number = argument[5:] if single else argument
    if not number.isdigit() or (not single and int(number) == 0):
        raise ValueError(f"{spec!r}: expected procedural:N with N at least 1 for N pianos, or "
                         "procedural:seed=S for one.")
    if single:
        return [Made(int(number), dry=dry)]
    # Seeds of different runs must not overlap, so that --seed really gives other pianos.
    return [Made(seed * 1_000_003 + index, dry=dry) for index in range(int(number))]
