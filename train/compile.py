"""What a run would be on devices that are not here: `python -m train.compile --config=FILE --topology=v5e:2x4`.

Compiles the programs that `train.main`, or `train.study` for many seeds, executes, the chunk of training steps and the
call of the validation, for the chips of a TPU slice, and prints what each needs of a chip: memory, work, traffic,
exchanges with the others, the least time by the chip's peaks, and what bounds it. Slices go from one chip (v5e:1x1) to
v5e:16x16 and v4:4x4x8, for which libtpu is needed and no TPU; `cpu` and `gpu` compile for the devices that are here. No
dataset is read.
"""

import sys

from absl import flags
from ml_collections import config_flags

from train import cli

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'A file of configs/, with :variant behind it for a variant.', lock_config=True
)
_TOPOLOGY = flags.DEFINE_string(
    'topology', 'v5e:2x4', 'A TPU slice such as v5e:2x4 or v4:2x2x1, or cpu or gpu.'
)
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', None, "Rows of a step over all devices, if not the config's.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string('output', None, 'A JSON file to keep the record in.')
_VALIDATION = flags.DEFINE_bool(
    'validation',
    True,
    'Compile the call of the validation too, whose factorisations take long where D is large.',
)
_PRODUCTS = flags.DEFINE_bool('products', False, 'Print every matrix product as well.')


def main(argv: list[str]) -> None:
    """Print the table, and write the record where one is asked for."""
    del argv
    import json

    from ml_collections import ConfigDict, FrozenConfigDict

    from train.ahead import page, programs, record, topologies
    from train.runtime import compilation, workdir

    config, _ = cli.config_of(_CONFIG)
    if _BATCH_SIZE.value:
        changed = ConfigDict(config)
        changed.batch_size = _BATCH_SIZE.value
        config = FrozenConfigDict(changed)
    topology = topologies.find(_TOPOLOGY.value)
    compilation.use_cache(compilation.OFF)  # how long it takes is a part of the record
    experiment = programs.experiment_on(config, topology.devices)
    asked = [argument for argument in sys.argv[1:] if not argument.startswith('--output')]
    command = ' '.join(['python -m train.compile', *asked])
    found = record.record(experiment, topology, command, validation=_VALIDATION.value)
    if _OUTPUT.value:
        path = workdir.output(_OUTPUT.value, 'ahead.json')
        path.parent.mkdir(parents=True, exist_ok=True)
        workdir.write_text(path, json.dumps(found, indent=2) + '\n')
    print(page.show(found, products=_PRODUCTS.value))


if __name__ == '__main__':
    cli.run(main)
