"""Files of TensorBoard's projector: vectors, what belongs to them, and small pictures."""

import dataclasses
import io
import pathlib

import numpy as np

from style_transfer import files

CONFIG_FILE = "projector_config.pbtxt"
FOLDER = "projector"


@dataclasses.dataclass(frozen=True)
class Embedding:
    """Vectors that TensorBoard shows in space.

    Attributes:
        name: What the vectors are of, such as `pianos`.
        vectors: Shape `[count, size]`.
        labels: Columns of `count` values by name.
        sprites: A picture of each, uint8 `[count, height, width, 3]`, or None.
    """

    name: str
    vectors: np.ndarray
    labels: dict
    sprites: np.ndarray | None = None


def write(directory, embeddings):
    """Writes embeddings where TensorBoard finds them, in place of earlier ones.

    Args:
        directory: Folder of a run's event files.
        embeddings: List of `Embedding`.

    Raises:
        ValueError: Labels or pictures of an embedding are not as many as its vectors.
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    directory = pathlib.Path(directory)
    (directory / FOLDER).mkdir(parents=True, exist_ok=True)
    config = ProjectorConfig()
    for embedding in embeddings:
        _check(embedding)
        entry = config.embeddings.add(tensor_name=embedding.name)
        entry.tensor_path = f"{FOLDER}/{embedding.name}.tsv"
        entry.tensor_shape.extend(embedding.vectors.shape)
        _write_table(directory / entry.tensor_path, embedding.vectors.tolist())
        entry.metadata_path = f"{FOLDER}/{embedding.name}_labels.tsv"
        _write_table(directory / entry.metadata_path, _label_rows(embedding))
        if embedding.sprites is not None:
            entry.sprite.image_path = f"{FOLDER}/{embedding.name}.png"
            entry.sprite.single_image_dim.extend(embedding.sprites.shape[2:0:-1])
            _replace(directory / entry.sprite.image_path, _sheet(embedding.sprites))
    _replace(directory / CONFIG_FILE, text_format.MessageToString(config).encode())


def _check(embedding):
    count = len(embedding.vectors)
    others = {**embedding.labels}
    if embedding.sprites is not None:
        others["sprites"] = embedding.sprites
    wrong = {name: len(values) for name, values in others.items() if len(values) != count}
    if wrong or not count or not embedding.labels:
        raise ValueError(f"The embedding {embedding.name!r} has {count} vectors, but "
                         f"{wrong or 'no labels'}.")


def _label_rows(embedding):
    """Rows of labels; TensorBoard takes the first for names if there are several columns."""
    rows = list(zip(*embedding.labels.values(), strict=True))
    return rows if len(embedding.labels) == 1 else [tuple(embedding.labels), *rows]


def _write_table(path, rows):
    lines = ["\t".join(" ".join(str(value).split()) for value in row) for row in rows]
    _replace(path, ("\n".join(lines) + "\n").encode())


def _replace(path, data):
    with files.written_whole(path) as partial:
        partial.write_bytes(data)


def _sheet(sprites):
    """A PNG of all pictures, row by row, as many columns as rows."""
    from PIL import Image

    count, height, width, _ = sprites.shape
    columns = int(np.ceil(np.sqrt(count)))
    sheet = np.zeros((columns * height, columns * width, 3), np.uint8)
    for index, sprite in enumerate(sprites):
        row, column = divmod(index, columns)
        sheet[row * height:(row + 1) * height, column * width:(column + 1) * width] = sprite
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="png")
    return buffer.getvalue()
