"""The trainer: commands, loop, step, data."""

from train import environment

environment.set_xla_flag()


def load(workdir):
    """`model, variables, preprocessing` of a trained run, see `train.loading.load`."""
    from train.loading import load as load_run

    return load_run(workdir)
