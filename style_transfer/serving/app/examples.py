"""The pieces and pianos that come with the package; `examples/make_pianos.py` made the pianos."""

import pathlib

from style_transfer import piano_roll
from style_transfer.models.piano_ddsp.piano import SUFFIX, Piano
from style_transfer.serving.app.uploads import Upload
from style_transfer.serving.errors import NotFoundError

FOLDER = pathlib.Path(__file__).parent / "examples"
PIECES = {"traeumerei": "Schumann, Träumerei"}


def truth(content, style):
    """An example piece as an example piano itself sounds, the path of an MP3, or None.

    Args:
        content: Key of the piece, None if it is not an example.
        style: Key of the piano, likewise.
    """
    if not (isinstance(content, str) and isinstance(style, str)):
        return None
    path = FOLDER / f"{style}.{content}.mp3"
    return path if path.is_file() else None


class Examples:
    """Examples that fit the model that is served.

    Args:
        model: A `PianoDDSP`; pianos estimated with other weights are left out.
    """

    def __init__(self, model):
        self._found = {"content": {}, "style": {}}
        for key, name in PIECES.items():
            sequence = piano_roll.load_midi(FOLDER / f"{key}.mid")
            table = piano_roll.note_table(sequence)
            self._found["content"][key] = Upload("notes", name, table.end_secs, sequence, table)
        for path in sorted(FOLDER.glob(f"*{SUFFIX}")):
            piano = Piano.load(path)
            if piano.weights == getattr(model, "weights_name", ""):
                self._found["style"][path.stem] = Upload("piano", piano.name, piano=piano)

    def get(self, role, key):
        """An example as if it had been sent.

        Raises:
            NotFoundError: There is none of that name.
        """
        if key not in self._found[role]:
            raise NotFoundError(f"There is no example {str(key)[:40]!r}.")
        return self._found[role][key]

    def about(self):
        """What the page offers."""
        return {role: [{"example": key, **example.about()} for key, example in found.items()]
                for role, found in self._found.items()}
