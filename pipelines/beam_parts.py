"""The work of a command over many files in parts on Apache Beam, on any runner.

A part is the command itself with `--shard`, in a process of its own: what is published, kept and
skipped is the same as without Beam, and no file that a library cannot bear ends a worker of Beam's.
"""

import collections
import logging
import re
import secrets
import subprocess
import sys

import apache_beam as beam

from style_transfer.files import Summary, say
from style_transfer.options import BeamOptions
from style_transfer.pipelines import beam_jobs, files, finished

_CLOSING = re.compile(r"(\d+) read, (\d+) written, (\d+) skipped(?:.*?(\d+) (?:existing )?kept)?")
_DETAIL = re.compile(r"  (\d+) (.+)")
_NOTHING = "error: Nothing"  # of a part in which every file was skipped
_LOGGER = logging.getLogger(__name__)


class _RunPart(beam.DoFn):
    """Runs a part and gives its exit status and what it said; once, if Beam asks again.

    Args:
        folder: Of all workers. Gets the rows of finished parts, see `finished.rows`.
        fingerprint: Of all that decides what the parts are.
    """

    def __init__(self, folder, fingerprint):
        self._folder, self._fingerprint = folder, fingerprint

    def process(self, part):
        number, command = part
        yield from finished.rows(files.join(self._folder, f"part-{number}"), self._fingerprint,
                                 lambda: [self._run(number, command)])

    def _run(self, number, command):
        lines = []
        with subprocess.Popen([sys.executable, "-m", *command], text=True,
                              errors="backslashreplace", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                _LOGGER.info("%s", lines[-1])
        return {"part": number, "status": process.returncode, "lines": lines}


def commands(module: str, arguments: list[str], num_items: int, options: BeamOptions,
             items_per_part: int) -> list[list[str]]:
    """The parts of a command's work.

    Args:
        module: The command's.
        arguments: Its command line.
        num_items: How many files, or the like, it is to work on.
        options: The user's.
        items_per_part: For how many there is a part, where the user does not say.
    """
    count = options.parts or max(1, -(-num_items // items_per_part))
    return [[module, *arguments, "--runner=", f"--shard={number}/{count}"]
            for number in range(1, count + 1)]


def run(parts: list[list[str]], folder: str, options: BeamOptions, fingerprint: str | None = None,
        report=say) -> Summary:
    """Runs parts; says what they skipped and warned of, and sums of what they counted.

    Args:
        parts: See `commands`.
        folder: Path or URL of a folder that all workers reach, for rows; it is removed at the end.
        options: Runner and options of Beam.
        fingerprint: Of all that decides what the parts make, if they do not themselves go on where
            a run that was killed has left them: those that it finished are not run again, and the
            folder is the caller's to remove.
        report: Called with a line of text.

    Returns:
        What they read, wrote, skipped and kept.

    Raises:
        ValueError: A part failed, other than by skipping all that it read; and what `beam_jobs.run`
            raises.
    """
    work = _RunPart(folder, fingerprint or secrets.token_hex(16))
    rows = beam_jobs.run(list(enumerate(parts, 1)), work, files.join(folder, "report"),
                         runner=options.runner, pipeline_options=options.pipeline_options)
    summary, details, faults = Summary(), collections.Counter(), []
    for row in sorted(rows, key=lambda row: row["part"]):
        for line in row["lines"]:
            if match := _CLOSING.match(line):
                read, written, skipped, kept = (int(number or 0) for number in match.groups())
                summary.add(Summary(read, written, skipped, kept))
            elif match := _DETAIL.fullmatch(line):
                details[match[2]] += int(match[1])
            elif line.startswith(("skipped ", "warning: ")):
                report(line)
        last = (row["lines"] or [f"it ended with exit status {row['status']}"])[-1]
        if row["status"] and not last.startswith(_NOTHING):
            faults.append(f"part {row['part']}: {last.removeprefix('error: ')}")
    for text, count in details.items():
        report(f"  {count} {text}")
    if faults or fingerprint is None:
        files.remove_tree(folder)
    if faults:
        raise ValueError(f"{len(faults)} of {len(rows)} parts failed, {faults[0]}")
    return summary
