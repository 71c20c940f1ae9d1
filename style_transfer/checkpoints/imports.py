"""From a checkpoint of Magenta's to a run that can be trained on and used."""


def load_model(config, hparams, checkpoint):
    """The model of a configuration with the values of a checkpoint.

    Args:
        config: A `configs.Config` that has an importer.
        hparams: Hparams of the config that the checkpoint was trained with.
        checkpoint: What `style_transfer.checkpoints.read` takes.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint cannot be read or does not fit.
    """
    from style_transfer import checkpoints

    arrays = checkpoints.read(checkpoint)
    model = config.build_model(hparams)
    model.build(None)
    checkpoints.load(model, arrays, config.importer())
    model.weights_name = config.name
    return model


def load_any(config, name_or_path, hparams, check=None):
    """The model of a configuration with weights of ours or of Magenta's.

    Args:
        config: A `configs.Config`.
        name_or_path: See `weights.load`; or a checkpoint of Magenta's, if the config reads those.
        hparams: Hparams of the config that Magenta's were trained with.
        check: See `base.load_weights`.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: They are of another model, or cannot be read.
    """
    from style_transfer import checkpoints
    from style_transfer.models import base

    if name_or_path and config.importer and checkpoints.is_magentas(name_or_path):
        model = load_model(config, hparams, name_or_path)
        if check is not None:
            check(model)
        return model
    return base.load_weights(config, name_or_path, check)


def import_checkpoint(config, hparams, checkpoint, run_dir):
    """Writes a run whose only checkpoint, at step 0, has the values of `checkpoint`.

    Args:
        config: A `configs.Config` that has an importer.
        hparams: Hparams of the config that the checkpoint was trained with.
        checkpoint: What `style_transfer.checkpoints.read` takes.
        run_dir: The run's folder.

    Returns:
        Path of the new checkpoint and number of parameters in it.

    Raises:
        FileExistsError: There are checkpoints in `run_dir`.
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint cannot be read or does not fit.
    """
    from style_transfer.training import checkpoints as runs
    from style_transfer.training import run_record

    if runs.steps(run_dir) or run_record.read(run_dir):
        raise FileExistsError(f"{run_dir} has a run already: give another --run_dir.")
    model = load_model(config, hparams, checkpoint)
    optimizer = config.build_optimizer(hparams)
    optimizer.build(model.trainable_variables)
    path = runs.save(run_dir, model, optimizer, runs.State(step=0, seed=0))
    run_record.write(run_dir, config.name, hparams)
    return path, model.count_params()
