"""From a checkpoint of Magenta's to a run that can be trained on and used."""

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
    from style_transfer import checkpoints
    from style_transfer.training import checkpoints as runs
    from style_transfer.training import run_record

    if runs.steps(run_dir) or run_record.read(run_dir):
        raise FileExistsError(f"{run_dir} has a run already: give another --run_dir.")
    arrays = checkpoints.read(checkpoint)
    model = config.build_model(hparams)
    model.build(None)
    checkpoints.load(model, arrays, config.importer())
    optimizer = config.build_optimizer(hparams)
    optimizer.build(model.trainable_variables)
    path = runs.save(run_dir, model, optimizer, runs.State(step=0, seed=0))
    run_record.write(run_dir, config.name, hparams)
    return path, model.count_params()
