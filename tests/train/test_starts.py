"""Every experiment with every model it admits starts well: finite numbers, a sane posterior, a loss that falls.

At the real widths and batch size, by the functions that train a run. What costs much, wide images and deep models, is
short here and whole behind `-m long`; of models that share their networks one or two start from each variant.
"""

import itertools

import jax
import ml_collections
import numpy as np
import pytest

from flows.keys import fold_in
from tests.helpers import starts
from train import config as defaults
from train.contract import given
from train.models import MODELS
from train.step.randomness import MODEL, example_keys
from train.step.step import preprocess
from train.training import experiment as experiments

STEPS = 5
FEWEST_ROWS = 2000  # more than the 784 directions that a layer may whiten
# Nats of KL for each number of x that a posterior may have at the start.
LARGEST_KL = 10
SHARED_NETWORKS = ('sa_vae', 'hf', 'iaf', 'draw2', 'draw3', 'draw4')
# Configs of which another has the same model on data of the same form.
TWINS = (
    *('fashion_mnist', 'mnist_published', 'hepmass', 'miniboone', 'bsds300'),
    *('glow_fashion_mnist', 'glow_svhn'),
)
# Sizes of the short form; those of whole numbers are upper bounds.
SHORT = {
    'batch_size': 16,
    'num_layers': 4,
    'warmup': 0,
    'nice.hidden_units': 64,
    'flow.width': 8,
    'flow.depth': 2,
    'flow.scales': 2,
    'flow.couplings_per_scale': 1,
    'rq_nsf.width': 16,
    'rq_nsf.num_bins': 3,
    'glow.steps': 1,
    'glow.width': 8,
    'vae.z_dim': 8,
    'vae.hidden_dim': 64,
    'iaf.iaf_dim': 32,
    'draw.num_steps': 2,
    'draw.hidden': 16,
    'study_vae.hidden': (32, 16),
    'lvae.hidden': (32, 16),
    'lvae.latent_dims': (8, 4),
}
CHEAP = ('mlp_flow', 'nice', 'vae', 'factor_analysis')  # on images


def is_costly(name, variant, model):
    config = starts.config_of(name, variant, model)
    shape = starts.data.describe(config).shape
    most = 20 if config.nonlinearity == 'spline' else 64  # splines take long to compile
    deep = config.num_layers > (2 if len(shape) == 3 else most)
    wide = np.prod(shape) > 1000
    image = len(shape) == 3 and (model not in CHEAP or bool(variant))
    return deep or wide or image or model == 'rq_nsf'  # which takes long to compile


def is_one_of_many(name, variant, model):
    """Whether another start has the same networks, and data as hard."""
    if name in TWINS:
        return True
    if model in SHARED_NETWORKS:
        return (name, variant) != ('vlae_mnist', '')
    if model == 'vlae':
        return (name, variant) not in (('vlae_mnist', ''), ('vlae_mnist', 'bernoulli'))
    return variant and not name.endswith('_mnist') and model != 'flow'


def params():
    for case in starts.cases():
        name, costly = '-'.join(filter(None, case)), is_costly(*case)
        # A determinant of width 3,072 is dear whatever else is small; NICE has the same images.
        dear = case[0] == 'cifar10'
        if costly and not dear and not is_one_of_many(*case):
            yield pytest.param(*case, True, id=f'{name}-short')
        marks = pytest.mark.long if costly or is_one_of_many(*case) else ()
        yield pytest.param(*case, False, id=name, marks=marks)


@pytest.mark.parametrize(('name', 'variant', 'model', 'short'), list(params()))
def test_experiment_starts(name, variant, model, short):
    config = starts.config_of(name, variant, model)
    steps = 1 if short else STEPS
    if short:
        given = defaults.flat(config)
        sizes = {
            field: value if isinstance(value, tuple) else min(given[field], value)
            for field, value in SHORT.items()
        }
        config.update(defaults.nested(sizes))
        config.preprocessing = config.preprocessing.replace('zca', 'mean')
        config.mlp_flow.start = 'orthogonal'  # so few rows whiten few directions
    config.steps_per_call = 1
    experiment = experiments.create(ml_collections.FrozenConfigDict(config))
    rows = steps * config.batch_size
    few = short and model != 'gaussian'  # which starts from covariances
    source = starts.rows_like(config, rows if few else max(rows, FEWEST_ROWS))
    state = experiment.layout.place(experiments.fresh_state(experiment, source))
    call, terms = experiment.train_call(), training_terms(experiment, source)
    found = [terms(state)]
    for batch, indices in itertools.islice(over_epochs(experiment, source), steps):
        state, (_, bad_step) = call(state, batch, indices)
        assert int(bad_step[0]) == -1
        found.append(terms(state))
    assert len(found) == 1 + steps
    assert np.isfinite([value.tolist() for value in jax.tree.leaves(found)]).all()
    if not config.lr:  # it starts at its best
        return
    # The lowest of them: the first steps of Adam at a published rate without warm-up go up and down.
    assert min(each['loss'].mean() for each in found[1:]) < found[0]['loss'].mean()
    if 'kl' in found[0]:
        assert found[0]['kl'].mean() < LARGEST_KL * experiment.description.num_features


def over_epochs(experiment, source):
    """Chunks of one step, epoch after epoch: a small table has few steps in one."""
    for step in itertools.count():
        yield next(iter(experiment.chunks(source, step)))


def training_terms(experiment, source):
    """state -> {name: (B,)}: terms of the training objective of the first batch, with the noise of the first step."""

    def terms(state, raw, indices, mask, split):
        del mask, split
        keys = example_keys(state.seed, 'noise', 0, indices)
        x, _, context = preprocess(state.preprocessing, raw, keys, training=True)
        variables = {'params': state.params, **state.model_state}
        with jax.default_matmul_precision('highest'):
            found, _ = experiment.model.apply(
                variables,
                x,
                fold_in(keys, MODEL),
                np.int32(0),
                **given(context),
                method='objective',
                mutable=list(state.model_state),
            )
        return found

    rows = np.arange(experiment.config.batch_size, dtype=np.int32)
    call, raw = experiment.layout.per_example_call(terms), source.gather(rows)[None]
    return lambda state: call(state, raw, rows[None], np.ones((1, len(rows)), bool), np.zeros(1))


def test_every_config_and_model_is_among_the_starts():
    cases = starts.cases()
    assert {model for _, _, model in cases} == set(MODELS)
    assert ('vlae_mnist', 'release', 'iaf') in cases
    assert ('study_toy', 'long', 'lvae') in cases
    assert ('nice_svhn', 'pytorch', 'nice') in cases
