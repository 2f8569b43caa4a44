"""The end of a run: the chosen checkpoint, the test split, `result.json`, pictures."""

import json

from absl import logging
from etils import epath
from filelock import FileLock
from ml_collections import FrozenConfigDict as Config

from train.data.base import Data
from train.errors import UserError
from train.figures import learning, showing
from train.runtime import buckets, processes
from train.runtime import workdir as workdirs
from train.runtime.checkpoint import Checkpoints
from train.runtime.writers import Writer, figure_png, read_lines, save_png
from train.step.state import TrainState
from train.tabular import scores
from train.training import result
from train.training.experiment import Experiment
from train.training.result import Evaluation, Result
from train.training.session import RunSession


def finished(workdir: epath.Path, config: Config) -> Result | None:
    """The result in a folder if the run there needs no more training for this config, else None."""
    path = workdir / 'result.json'
    if not path.exists():
        return None
    whole = workdirs.read_json(path, Result.required())
    if not whole['exact']:
        workdirs.require(whole, {'num_samples': int}, path)
    earlier = Result.from_json(whole)
    trained = earlier.stopped_early or earlier.epochs >= config.epochs
    # A result from before the field existed was made from the posterior.
    bound = earlier.num_samples, earlier.importance or 'posterior'
    evaluated = earlier.exact or bound == (config.num_samples, config.importance)
    return earlier if trained and evaluated and earlier.split == config.final_split else None


def conclude(
    experiment: Experiment, data: Data, session: RunSession, saved: Checkpoints, workdir: epath.Path
) -> Result:
    """Restore the best checkpoint, evaluate the final split (the test split, once), write and print the result."""
    per_epoch = experiment.steps_per_epoch
    state, record, step = saved.restore_best(experiment.template(), per_epoch)
    placed = experiment.layout.place(state)
    evaluation = evaluate(experiment, data, placed, experiment.config.final_split, workdir, step)
    whole = Result(
        **vars(evaluation),
        epochs=session.step // per_epoch,
        best_epoch=record['stopping']['best_epoch'],
        best_step=step,
        rollbacks=list(session.rollbacks),
        stopped_early=session.finished,
        validation_loss=record['stopping']['best'],
        validation_quantity='nll' if experiment.model.exact else 'negative_elbo',
        config=json.loads(experiment.config.to_json()),
        **result.provenance(),
    )
    if experiment.description.table is not None:
        scores.keep(experiment, placed, data, workdir, step)
    if processes.is_first():
        workdirs.write_json(workdir / 'result.json', whole.to_json())
        _pictures(experiment, data, state, workdir, session.step)
        logging.info('%s', _signposts(experiment, workdir))
    # The end of one process is the end of those that are still at work.
    processes.barrier('concluded')
    return whole


def evaluate(
    experiment: Experiment,
    data: Data,
    state: TrainState,
    split: str,
    workdir: epath.Path,
    step: int,
) -> Evaluation:
    """The likelihood of a split under a replicated state.

    Each look at the test split is counted in the workdir.
    """
    data.require_intact()
    config, model, known = experiment.config, experiment.model, experiment.description
    looks = count_test_look(workdir, step) if split == 'test' else None
    num_samples = 1 if model.exact else config.num_samples
    values = experiment.evaluator.log_likelihood(
        state, data.source(split), split, num_samples, config.importance, known.labelled
    )
    likelihood = result.likelihood(values, state.preprocessing.units, data.num_features)
    entropy = data.entropy
    return Evaluation(
        split=split,
        dataset=data.name,
        seed=config.seed,
        step=step,
        exact=model.exact,
        **likelihood,
        conditional_on=('label' if known.labelled else 'context') if known.context else None,
        noise_draws=1 if model.exact else None,
        num_samples=None if model.exact else num_samples,
        importance=None if model.exact else config.importance,
        entropy=entropy,
        gap_to_entropy=None if entropy is None else -entropy - likelihood['nats_data_space'],
        test_evaluations=looks,
    )


def count_test_look(workdir: epath.Path, step: int) -> int:
    """Append this look to `test_evaluations.jsonl`; how many there were, this one included."""
    path = workdir / 'test_evaluations.jsonl'
    if not processes.is_first():
        return len(_looks(path)) + 1
    look = json.dumps({'step': step, 'time': result.now()})
    # Commands that count at once count each other.
    if not buckets.is_bucket(path):
        with FileLock(workdir / '.test_evaluations.lock'):
            looks = [*_looks(path), look]
            workdirs.write_text(path, '\n'.join([*looks, '']))
        return len(looks)
    while True:
        found = buckets.generation(path)
        looks = [*_looks(path), look]
        if buckets.write_unless_changed(path, '\n'.join([*looks, '']), found):
            return len(looks)


def _looks(path: epath.Path) -> list[str]:
    """The looks so far, one JSON object each."""
    lines = read_lines(path) if path.exists() else []
    if None in lines:
        raise UserError(
            f'{path} must hold one JSON object a line and is damaged at line {lines.index(None) + 1}; restore it from '
            'a copy, or take that line out.'
        )
    return [json.dumps(line) for line in lines]


def _signposts(experiment: Experiment, workdir: epath.Path) -> str:
    """Where the result and its pictures lie, what a paper has, and what to do with the model."""
    pictures = sorted(path.name for path in workdir.glob('*.png'))
    lines = [f'The result is in {workdir / "result.json"}']
    if pictures:
        lines.append(f'with {", ".join(pictures)} beside it.')
    if experiment.config.published:
        lines.append(f'Published: {experiment.config.published}')
    commands = ['sample', 'verify'] if experiment.model.exact else ['sample', 'evaluate']
    following = [f'python -m train.{name} --workdir={workdir}' for name in commands]
    lines.append('Next: ' + '\n      '.join([*following, f'python -m train.report {workdir}']))
    return '\n'.join(lines)


def _pictures(
    experiment: Experiment, data: Data, state: TrainState, workdir: epath.Path, step: int
) -> None:
    """The learning curve, and the final pictures, which TensorBoard shows behind the last step of training."""
    records = [line for line in read_lines(workdir / 'metrics.jsonl') if line is not None]
    if records:
        save_png(workdir / 'learning_curve.png', figure_png(learning.curve(records)))
    if experiment.config.generation:
        validation = data.source('validation')
        with Writer.of(experiment.config, workdir, step) as writer:
            showing.show(experiment, state, validation, workdir, writer, step, 'final_')
