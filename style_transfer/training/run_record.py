"""What a run was started with: `config.json` in its folder."""

import dataclasses
import json
import pathlib
import platform

import keras

from style_transfer import files, remote

CONFIG_FILE = "config.json"


def write_json(path, content):
    """Writes JSON whole or not at all, and makes its folder."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.written_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(run_dir):
    """The record of a run, or None where it has none.

    Raises:
        ValueError: `config.json` is no record.
    """
    if remote.is_url(run_dir):
        path = f"{run_dir.rstrip('/')}/{CONFIG_FILE}"
        text = remote.read_text(path)
    else:
        path = pathlib.Path(run_dir) / CONFIG_FILE
        text = path.read_text(encoding="utf-8") if path.exists() else None
    if text is None:
        return None
    try:
        record = json.loads(text)
        record["config"], dict(record["hparams"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not the record of a training run ({files.reason(error)})."
                         ) from error
    return record


def write(run_dir, config_name, hparams):
    """Records the configuration, its hparams and the versions in use."""
    write_json(pathlib.Path(run_dir) / CONFIG_FILE, {
        "config": config_name, "hparams": _plain(hparams),
        "versions": {"python": platform.python_version(), "keras": keras.__version__},
        "backend": keras.backend.backend()})


def check(run_dir, config_name, hparams):
    """Compares a run's record with what is asked for now.

    Args:
        run_dir: The run's folder.
        config_name: Name of the configuration.
        hparams: A dataclass of hparams.

    Raises:
        ValueError: They differ; the message shows how.
    """
    record = read(run_dir)
    if record is None:
        return
    if record["config"] != config_name:
        raise ValueError(f"{run_dir} is a run of the config {record['config']!r}, not of "
                         f"{config_name!r}: give another --run_dir.")
    before, now = record["hparams"], _plain(hparams)
    changed = [f"{name}: {before.get(name, 'not recorded')} -> {now.get(name, 'unknown now')}"
               for name in sorted(before | now) if before.get(name) != now.get(name)]
    if changed:
        raise ValueError(
            f"{run_dir} was started with other hparams ({'; '.join(changed)}). Leave --hparams "
            "out to go on with the recorded ones, give another --run_dir, or accept the change "
            "with --override_hparams.")


def _plain(hparams):
    return json.loads(json.dumps(dataclasses.asdict(hparams)))
