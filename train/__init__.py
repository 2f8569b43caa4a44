"""The trainer: commands, loop, step, data."""

from train.runtime import environment

environment.set_xla_flag()


def load(workdir):
    """`model, variables, preprocessing` of a trained run, see `train.pretrained.load`."""
    from train.pretrained import load as load_run

    return load_run(workdir)
