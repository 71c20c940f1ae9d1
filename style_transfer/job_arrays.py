"""One of several parts of a batch, for the job arrays of clusters: `--shard=3/16`."""

import dataclasses
import os
import re
from collections.abc import Sequence

PART = "Which part of the work to do, such as 3/16: the third of sixteen, for job arrays."
HELP = f"{PART} What is written is named after it."


@dataclasses.dataclass(frozen=True)
class Shard:
    """Every so-manieth item.

    Attributes:
        number: Which of the parts, from 1.
        count: How many there are.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> "Shard":
        """The shard that `NUMBER/COUNT` names; the whole for nothing.

        Raises:
            ValueError: The text is another.
        """
        if not text:
            return cls()
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError(f"--shard is such as 3/16, from 1/16 to 16/16; got {text!r}.")
        return cls(int(match[1]), int(match[2]))

    def of(self, items: Sequence) -> Sequence:
        """The items of this part; those of all parts are all items, each once."""
        return items[self.number - 1::self.count]

    def stretch(self, items: Sequence) -> Sequence:
        """As `of`, items that follow each other: those of all parts, joined, are all in order."""
        first, last = (len(items) * n // self.count for n in (self.number - 1, self.number))
        return items[first:last]

    def named(self, path: str) -> str:
        """A file's or folder's name for this part: `notes-00003-of-00016.tfrecord`."""
        if self.count == 1:
            return path
        stem, suffix = os.path.splitext(path.rstrip("/"))
        return f"{stem}-{self.number:05d}-of-{self.count:05d}{suffix}"


WHOLE = Shard()
