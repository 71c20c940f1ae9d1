"""What the examples of a configuration are made of; `style_transfer_create_dataset` asks for it.

Nothing is imported here before examples are made.
"""

import dataclasses
import importlib
from typing import Any

DRUM_TRACK_FILES = {"train": "training_drum_tracks.tfrecord",
                    "eval": "eval_drum_tracks.tfrecord"}  # Magenta's names
SEQUENCE_FILES = {"train": "train.tfrecord", "eval": "eval.tfrecord"}


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Recordings with their notes: rendered folders, MAESTRO, SMD, any folder of both.

    Attributes:
        measures_tuning: Whether the tuning is measured of each recording.
        segment_secs: Shortest and longest part of a performance that is a record, cut where it is
            silent; None for whole performances.
        any_instrument: Whether notes are played on all melodic programs of soundfonts, a part of a
            piece at a time, rather than whole on pianos.
    """

    measures_tuning: bool = False
    segment_secs: tuple[int, int] | None = None
    any_instrument: bool = False

    FLAGS = ("split", "eval_timbres", "layout", "timbre_id", "piece_pattern", "sample_rate",
             "segment_secs", "shards", "shard", "num_workers", "soundfonts",
             "instruments_per_piece", "max_secs", "dry", "seed")

    def create(self, config, values, prepare):
        """Makes a data set.

        Args:
            config: The `configs.Config`.
            values: Values of the command's flags by name.
            prepare: Called once the flags are known to be right, before Apache Beam is imported.

        Returns:
            The data set's description, see `datasets.create.create_dataset`.

        Raises:
            FileNotFoundError: There is no input.
            ValueError: A flag is wrong, or there would be no examples.
        """
        from style_transfer.pipelines.datasets import create

        settings = create.Settings(**{
            **values, "measures_tuning": self.measures_tuning,
            "any_instrument": self.any_instrument, "soundfonts": tuple(values["soundfonts"]),
            "eval_timbres": tuple(values["eval_timbres"]),
            "sample_rate": values["sample_rate"] or config.sample_rate,
            "segment_secs": create.segment_secs(values["segment_secs"], self.segment_secs)})
        create.check_settings(settings)
        prepare()
        return create.create_dataset(settings)


@dataclasses.dataclass(frozen=True)
class NoteSequences:
    """NoteSequences alone, as convert_dir_to_note_sequences writes them.

    Attributes:
        converter: `module:function` that gives, from a layout and the share of pieces for
            evaluation, a function from a NoteSequence to `(records, statistics)`; see
            `symbolic.conversion`.
        layout: What the sequences are made of, as the converter takes it.
        train: Name of the file of training examples.
        eval: Name of the file of evaluation examples.
    """

    converter: str
    layout: Any
    train: str = SEQUENCE_FILES["train"]
    eval: str = SEQUENCE_FILES["eval"]

    FLAGS = ("eval_pieces", "shard", "num_workers")

    @property
    def files(self):
        """Name of the file of each split."""
        return {"train": self.train, "eval": self.eval}

    def make_converter(self, eval_ratio):
        """The function from a NoteSequence to `(records, statistics)`."""
        module, _, name = self.converter.partition(":")
        return getattr(importlib.import_module(module), name)(self.layout, eval_ratio)

    def create(self, config, values, prepare):
        """Makes a data set; see `Pairs.create`."""
        from style_transfer.pipelines.symbolic import create

        settings = create.Settings(**{**values, "config": config.name, "examples": self,
                                      "eval_pieces": tuple(values["eval_pieces"])})
        create.check_settings(settings)
        prepare()
        return create.create_dataset(settings)


KINDS = (Pairs, NoteSequences)
