"""The models that `config.model` names, built from plain fields."""

from flows import (
    MLP,
    NICE,
    BoundedAffine,
    CouplingFlow,
    ImageFlow,
    MLPFlow,
    MultiScaleFlow,
    RelativeAffine,
    choose,
)
from train import config as defaults
from train.components import ACTIVATIONS, BASE_DENSITIES, PARTITIONS
from train.errors import UserError
from train.step.parallel import AXIS
from vaes import (
    DRAW,
    IAFVAE,
    SAVAE,
    VAE,
    VLAE,
    BernoulliLikelihood,
    ConvergenceVAE,
    HouseholderVAE,
    IndependentGaussian,
    LadderVAE,
)


def _mlp_flow(config, description):
    if config.start == 'whiten' and config.init_examples < 2:
        raise ValueError(
            'config.start=whiten is made from training rows and needs config.init_examples of at least 2; '
            f'found {config.init_examples}.'
        )
    return MLPFlow(
        num_layers=config.num_layers,
        activation=choose('nonlinearity', config.nonlinearity, ACTIVATIONS)(config.alpha),
        layer=RelativeAffine(
            use_bias=config.bias,
            gradient=config.gradient,
            refresh_every=config.refresh_every,
            inversion=config.inversion,
            start=config.start,
        ),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _nice(config, description):
    masks, mixing = choose('partition', config.partition, PARTITIONS)(config.num_couplings)
    return NICE(
        masks=masks,
        mixing=mixing,
        conditioner=MLP(config.hidden_layers, config.hidden_units),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _flow(config, description):
    if len(description.shape) == 1:
        if config.num_couplings < 1:
            raise ValueError(
                f'config.model=flow needs config.num_couplings of at least 1; found {config.num_couplings}.'
            )
        return CouplingFlow(
            num_features=description.num_features,
            num_couplings=config.num_couplings,
            transformer=BoundedAffine(config.log_scale_bound),
            base=choose('prior', config.prior, BASE_DENSITIES),
        )
    _check_binary(config)
    if config.prior != 'gaussian':
        raise ValueError(
            f'config.model=flow has config.prior=gaussian on images; found {config.prior}.'
        )
    flow = MultiScaleFlow(transformer=BoundedAffine(config.log_scale_bound))
    return ImageFlow(shape=description.shape, flow=flow)


def _study_vae(config, description):
    sizes = TOY_SIZES if len(description.shape) == 1 else {}
    return ConvergenceVAE(
        num_features=description.num_features,
        output=_output(config, description),
        kl=config.kl,
        kl_warmup_steps=config.kl_warmup_steps,
        **sizes,
    )


def _lvae(config, description):
    sizes = {}
    if len(description.shape) == 1:
        sizes = {'hidden': (128,) * 3, 'latent_dims': (4,) * 3}
    return LadderVAE(
        num_features=description.num_features,
        output=_output(config, description),
        separate_merge=config.separate_merge,
        axis_name=AXIS,
        kl=config.kl,
        kl_warmup_steps=config.kl_warmup_steps,
        **sizes,
    )


def _draw(read_error, accumulate):
    def build(config, description):
        if len(description.shape) != 3:
            raise ValueError(
                f'config.model={config.model} reads images, found data of shape {description.shape}: '
                'use study_vae, lvae or flow.'
            )
        _check_binary(config)
        return DRAW(
            shape=description.shape,
            read_error=read_error,
            accumulate=accumulate,
            attention=config.attention or None,
            kl=config.kl,
            kl_warmup_steps=config.kl_warmup_steps,
        )

    return build


def _output(config, description):
    """p(x | f): Gaussian for vectors, Bernoulli for binary images."""
    if len(description.shape) == 1:
        return IndependentGaussian()
    _check_binary(config)
    return BernoulliLikelihood()


def _check_binary(config):
    if config.preprocessing != 'binarise':
        raise ValueError(
            f'config.model={config.model} models binary images and needs config.preprocessing=binarise; '
            f'found {config.preprocessing}.'
        )


def _laplace_family(model, *names):
    """A builder of one of the five models that share networks; `names` are its own config fields."""

    def build(config, description):
        if (config.output_dist == 'bernoulli') != (config.preprocessing == 'binarise'):
            raise ValueError(
                'config.output_dist=bernoulli and config.preprocessing=binarise go together; found '
                f'{config.output_dist} with {config.preprocessing}.'
            )
        return model(
            num_features=description.num_features,
            z_dim=config.z_dim,
            hidden_dim=config.hidden_dim,
            output_dist=config.output_dist,
            initialisation=config.initialisation,
            kl=config.kl,
            kl_warmup_steps=config.kl_warmup_steps,
            **{name: getattr(config, name) for name in names},
        )

    return build


_BOUND = ('kl', 'kl_warmup_steps')
_LAPLACE = ('z_dim', 'hidden_dim', 'output_dist', 'initialisation', *_BOUND)
_MLP_FLOW = (
    'num_layers',
    'nonlinearity',
    'alpha',
    'bias',
    'gradient',
    'refresh_every',
    'inversion',
)

# The fields that each model has of its own; all other fields of a config are for every model.
FIELDS = {
    'mlp_flow': (*_MLP_FLOW, 'start', 'prior'),
    'nice': ('num_couplings', 'hidden_layers', 'hidden_units', 'partition', 'prior'),
    'flow': ('num_couplings', 'log_scale_bound', 'prior'),
    'study_vae': _BOUND,
    'lvae': ('separate_merge', *_BOUND),
    **{name: ('attention', *_BOUND) for name in ('draw', 'draw2', 'draw3', 'draw4')},
    'vae': _LAPLACE,
    'sa_vae': ('svi_lr', 'n_svi_step', *_LAPLACE),
    'hf': ('n_flow', *_LAPLACE),
    'iaf': ('n_flow', 'iaf_dim', *_LAPLACE),
    'vlae': ('n_update', 'update_lr', 'update_rule', *_LAPLACE),
}
# Models that are compared with each other, so that one config sets fields of all of them.
FAMILIES = (
    ('mlp_flow',),
    ('nice',),
    ('flow', 'study_vae', 'lvae', 'draw', 'draw2', 'draw3', 'draw4'),
    ('vae', 'sa_vae', 'hf', 'iaf', 'vlae'),
)

# The published sizes for vectors; those for images are the models' defaults.
TOY_SIZES = {'hidden': (128,) * 3, 'latent_dim': 4}

MODELS = {
    'mlp_flow': _mlp_flow,
    'nice': _nice,
    'flow': _flow,
    'study_vae': _study_vae,
    'lvae': _lvae,
    'draw': _draw(read_error=True, accumulate=True),
    'draw2': _draw(read_error=False, accumulate=True),
    'draw3': _draw(read_error=True, accumulate=False),
    'draw4': _draw(read_error=False, accumulate=False),
    'vae': _laplace_family(VAE),
    'sa_vae': _laplace_family(SAVAE, 'svi_lr', 'n_svi_step'),
    'hf': _laplace_family(HouseholderVAE, 'n_flow'),
    'iaf': _laplace_family(IAFVAE, 'n_flow', 'iaf_dim'),
    'vlae': _laplace_family(VLAE, 'n_update', 'update_lr', 'update_rule'),
}


def create(config, description):
    """The Linen module of a config; raises UserError for an unknown name or a field the model refuses."""
    if config.model not in MODELS:
        raise UserError(f'config.model must be one of {", ".join(MODELS)}; found {config.model}.')
    try:
        model = MODELS[config.model](config, description)
    except ValueError as error:
        raise UserError(str(error)) from error
    if config.importance == 'refined' and not model.refinable:
        raise UserError(
            'config.importance=refined needs a model with a posterior over one vector z (vae, sa_vae, hf, iaf, vlae, '
            f'study_vae); found config.model={config.model}: use config.importance=posterior.'
        )
    return model


def check_fields(config, given=()):
    """Raise a UserError for fields that the model of a config does not have and that are not at their defaults.

    They would be ignored. A config may set fields for other models of the same family; none of those may be in `given`,
    the names of the fields that were set for this one run.
    """
    if config.model not in FIELDS:
        return  # `create` says which models there are
    known = defaults.get_config()
    family = next(names for names in FAMILIES if config.model in names)
    shared = {field for name in family for field in FIELDS[name]} - set(given)
    ignored = [
        field
        for field in sorted({field for fields in FIELDS.values() for field in fields})
        if field not in FIELDS[config.model]
        and field not in shared
        and config[field] != known[field]
    ]
    if ignored:
        having = [name for name, fields in FIELDS.items() if ignored[0] in fields]
        found = ', '.join(f'{field}={config[field]}' for field in ignored)
        left = ', '.join(f'{field}={known[field]}' for field in ignored)
        raise UserError(
            f'config.model={config.model} has no field {ignored[0]}, which is for {", ".join(having)}; found {found}: '
            f'leave it at the default, {left}, or choose another config or model.'
        )
