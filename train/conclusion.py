"""The end of a run: the chosen checkpoint, the test split, `result.json`, pictures."""

import json
import math

from absl import logging

from train import result
from train.errors import UserError
from train.figures import plots, showing
from train.runtime import processes
from train.runtime import workdir as workdirs
from train.runtime.writers import Writer, read_lines, save_png
from train.step import parallel as on

# What of `result.json` says whether the run needs more, and what is printed of it.
NUMBER = int | float | None  # null stands for what is not finite
FIELDS = {
    'stopped_early': bool,
    'epochs': int,
    'exact': bool,
    'split': str,
    'N': int,
    **dict.fromkeys(('nats', 'nats_2se', 'nats_data_space'), NUMBER),
}


def finished(workdir, config):
    """The result in a folder if the run there needs no more training for this config, else None."""
    path = workdir / 'result.json'
    if not path.exists():
        return None
    found = workdirs.read_json(path, FIELDS)
    if not found['exact']:
        workdirs.require(found, {'num_samples': int}, path)
    trained = found['stopped_early'] or found['epochs'] >= config.epochs
    # A result from before the field existed was made from the posterior.
    bound = found.get('num_samples'), found.get('importance', 'posterior')
    evaluated = found['exact'] or bound == (config.num_samples, config.importance)
    if not (trained and evaluated and found['split'] == config.final_split):
        return None
    absent = {name for name in ('bits_per_dim', *FIELDS) if found.get(name, 0) is None}
    if found['N'] == 1:  # one example has no error
        absent -= {'nats_2se'}
    return found | dict.fromkeys(absent, math.nan)


def conclude(experiment, data, session, saved, workdir):
    """Restore the best checkpoint, evaluate the final split (the test split, once), write and print the result."""
    per_epoch = experiment.steps_per_epoch
    state, record, step = saved.restore_best(experiment.template(), per_epoch)
    replicated = on.replicate(state, experiment.devices)
    found = evaluate(experiment, data, replicated, experiment.config.final_split, workdir, step)
    found |= {
        'epochs': session.step // per_epoch,
        'best_epoch': record['stopping']['best_epoch'],
        'best_step': step,
        'rollbacks': list(session.rollbacks),
        'stopped_early': session.stopping.should_stop,
        'validation_loss': record['stopping']['best'],
        'validation_quantity': 'nll' if experiment.model.exact else 'negative_elbo',
        'config': json.loads(experiment.config.to_json()),
        **result.provenance(),
    }
    if processes.is_first():
        _pictures(experiment, data, state, workdir, session.step)
        workdirs.write_json(workdir / 'result.json', found)
        logging.info('The result is in %s', workdir / 'result.json')
    return found


def evaluate(experiment, data, state, split, workdir, step):
    """The likelihood of a split under a replicated state, as `result.json` has it.

    Each look at the test split is counted in the workdir.
    """
    data.require_intact()
    config, model = experiment.config, experiment.model
    looks = count_test_look(workdir, step) if split == 'test' else None
    num_samples = 1 if model.exact else config.num_samples
    values = experiment.evaluator.log_likelihood(
        state, data.source(split), split, num_samples, config.importance
    )
    units = on.unreplicate(state).preprocessing.units
    found = {
        'split': split,
        'dataset': data.name,
        'seed': config.seed,
        'step': step,
        'exact': model.exact,
        **result.likelihood(values, units, data.num_features),
    }
    if model.exact:
        found['noise_draws'] = 1
    else:
        found |= {'num_samples': num_samples, 'importance': config.importance}
    if data.entropy is not None:
        found['entropy'] = data.entropy
        found['gap_to_entropy'] = -data.entropy - found['nats_data_space']
    if looks is not None:
        found['test_evaluations'] = looks
    return found


def count_test_look(workdir, step):
    """Append this look to `test_evaluations.jsonl`; how many there were, this one included."""
    path = workdir / 'test_evaluations.jsonl'
    lines = read_lines(path) if path.exists() else []
    if None in lines:
        raise UserError(
            f'{path} must hold one JSON object a line and is damaged at line {lines.index(None) + 1}; restore it from '
            'a copy, or take that line out.'
        )
    lines = [json.dumps(line) for line in lines]
    lines.append(json.dumps({'step': step, 'time': result.now()}))
    if processes.is_first():
        workdirs.write_text(path, ''.join(f'{line}\n' for line in lines))
    return len(lines)


def _pictures(experiment, data, state, workdir, step):
    """The learning curve, and the final pictures, which TensorBoard shows behind the last step of training."""
    records = read_lines(workdir / 'metrics.jsonl')
    if records:
        save_png(workdir / 'learning_curve.png', plots.learning_curve(records))
    if experiment.config.generation:
        validation = data.source('validation')
        with Writer(workdir, step, tensorboard=experiment.config.tensorboard) as writer:
            showing.show(experiment, state, validation, workdir, writer, step, 'final_')
