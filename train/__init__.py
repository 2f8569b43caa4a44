"""The trainer: commands, loop, step, data. On import the process environment is prepared for JAX and TensorFlow."""

from train.runtime import environment

environment.prepare()


def load(workdir):
    """`model, variables, preprocessing` of a trained run, see `train.pretrained.load`."""
    from train.pretrained import load as load_run

    return load_run(workdir)
