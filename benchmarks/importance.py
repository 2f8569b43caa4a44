"""How much of log p(x) importance sampling finds, from a model's own posterior and from a refined proposal.

    python -m benchmarks.importance RUN... [--examples=200] [--num_samples=5000] [--split=test] [--record=importance]

RUN: folders of finished runs of latent-variable models. The same first examples of the split and as many samples for
every run; a look at the test split is counted in each folder, once for each proposal. Nats are those of the model's
space, a tenth beside them the estimate from the first tenth of the draws, and ESS the median effective sample size.
"""

import argparse
import contextlib
import io
import json

from benchmarks.tools import timing

PROPOSALS = ('posterior', 'refined')


def evaluation(run: str, proposal: str, options: argparse.Namespace) -> dict:
    """What `train.evaluate` prints as JSON for one run and one proposal."""
    import sys

    from absl import flags

    from train import evaluate

    arguments = [
        f'--{name}={getattr(options, name)}' for name in ('split', 'num_samples', 'examples')
    ]
    flags.FLAGS([sys.argv[0], f'--workdir={run}', f'--importance={proposal}', *arguments])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        evaluate.main([])
    return json.JSONDecoder().raw_decode(printed.getvalue())[0]


def measure(options: argparse.Namespace) -> dict[str, dict]:
    """Name of a run's folder -> proposal -> what was found."""
    found = {}
    for run in options.runs:
        name = run.rstrip('/').rpartition('/')[2]
        found[name] = {proposal: evaluation(run, proposal, options) for proposal in PROPOSALS}
    return found


def rows(found: dict[str, dict]) -> list[list[str]]:
    """One row a run: estimate, estimate from a tenth, median ESS, for both proposals."""
    lines = []
    for name, by_proposal in found.items():
        cells = []
        for proposal in PROPOSALS:
            values = by_proposal[proposal]
            cells += [
                f'{values["nats"]:.2f} +- {values["nats_2se"]:.2f}',
                f'{values["nats_at_tenth_of_samples"]:.2f}',
                f'{values["effective_sample_size"]["median"]:.1f}',
            ]
        lines.append([name, *cells])
    return lines


def main() -> None:
    """Evaluate, and write `results/benchmarks/RECORD.json` with the table of the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('runs', nargs='+', metavar='RUN')
    parser.add_argument('--examples', type=int, default=200)
    parser.add_argument('--num_samples', type=int, default=5000)
    parser.add_argument('--split', choices=('validation', 'test'), default='test')
    parser.add_argument('--record', default='importance')
    options = parser.parse_args()
    found = measure(options)
    header = ['run'] + [
        f'{proposal}: {what}' for proposal in PROPOSALS for what in ('nats', 'a tenth', 'ESS')
    ]
    command = (
        f'python -m benchmarks.importance RUN... --examples={options.examples} '
        f'--num_samples={options.num_samples} --split={options.split} --record={options.record}'
    )
    timing.record(
        options.record, command, {'table': {'header': header, 'rows': rows(found)}, 'runs': found}
    )


if __name__ == '__main__':
    main()
