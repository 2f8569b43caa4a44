"""The models that `config.model` names: what each is, the fields it has, and how it is built from them.

A row of `MODELS` is all that the trainer has to know of a new model. Its libraries are imported where it is built, so
that `--help` and `--list` start at once.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from train import rules
from train.errors import UserError
from train.rules import Field

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from train import contract
    from train.data.base import Description
    from vaes.distributions import Likelihood

Build = Callable[['ConfigDict', 'Description'], 'contract.Model']  # a Linen module


def _mlp_flow(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import MLPFlow, RelativeAffine, choose
    from train.components import ACTIVATIONS, BASE_DENSITIES

    own = config.mlp_flow
    if own.start == 'whiten' and config.init_examples < 2:
        raise ValueError(
            'config.mlp_flow.start=whiten is made from training rows and needs config.init_examples of at least 2; '
            f'found {config.init_examples}.'
        )
    return MLPFlow(
        num_layers=config.num_layers,
        activation=choose('nonlinearity', config.nonlinearity, ACTIVATIONS)(config),
        layer=RelativeAffine(
            use_bias=config.bias,
            gradient=own.gradient,
            refresh_every=own.refresh_every,
            inversion=own.inversion,
            start=own.start,
        ),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _nice(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import MLP, NICE, choose
    from train.components import BASE_DENSITIES, PARTITIONS

    sizes = config.nice
    masks, mixing = choose('partition', sizes.partition, PARTITIONS)(sizes.num_couplings)
    return NICE(
        masks=masks,
        mixing=mixing,
        conditioner=MLP(sizes.hidden_layers, sizes.hidden_units),
        base=choose('prior', config.prior, BASE_DENSITIES),
    )


def _flow(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import (
        BoundedAffine,
        CouplingFlow,
        DenseNet,
        ImageFlow,
        MLPConditioner,
        MultiScaleFlow,
        choose,
    )
    from train.components import BASE_DENSITIES

    sizes = config.flow
    if len(description.shape) == 1:
        if sizes.num_couplings < 1:
            raise ValueError(
                f'config.model=flow needs config.flow.num_couplings of at least 1; found {sizes.num_couplings}.'
            )
        return CouplingFlow(
            num_features=description.num_features,
            num_couplings=sizes.num_couplings,
            conditioner=MLPConditioner(sizes.hidden),
            transformer=BoundedAffine(sizes.log_scale_bound),
            base=choose('prior', config.prior, BASE_DENSITIES),
        )
    _check_binary(config)
    if config.prior != 'gaussian':
        raise ValueError(
            f'config.model=flow has config.prior=gaussian on images; found {config.prior}.'
        )
    if any(side % 2 ** (sizes.scales - 1) for side in description.shape[:2]):
        raise ValueError(
            'config.flow.scales must halve the sides of the images scales - 1 times without a rest; found '
            f'{sizes.scales} for {description.shape[0]} x {description.shape[1]}.'
        )
    flow = MultiScaleFlow(
        scales=sizes.scales,
        couplings=sizes.couplings_per_scale,
        conditioner=DenseNet(sizes.width, sizes.depth, sizes.growth),
        transformer=BoundedAffine(sizes.log_scale_bound),
    )
    height, width, channels = description.shape
    return ImageFlow(shape=(height, width, channels), flow=flow)


def _made(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import MADE, Affine, MixtureMADE, choose, maf
    from train.components import BASE_DENSITIES

    own = config.made
    network = MADE(own.width, own.depth)
    if own.num_components == 1:
        base = choose('prior', config.prior, BASE_DENSITIES)
        return maf(description.num_features, 1, network, Affine(bound=10.0), base=base)
    return maf(description.num_features, 0, base=MixtureMADE(own.num_components, network))


def _maf(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import MADE, MixtureMADE, choose, maf
    from train.components import BASE_DENSITIES, MIXINGS

    own = config.maf
    network = MADE(own.width, own.depth, own.residual)
    base = choose('prior', config.prior, BASE_DENSITIES)
    return maf(
        description.num_features,
        config.num_layers,
        network,
        mixing=choose('maf.mixing', own.mixing, MIXINGS),
        base=base if own.num_components == 1 else MixtureMADE(own.num_components, network),
    )


def _real_nvp(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import BoundedAffine, ResidualMLP, choose, real_nvp
    from train.components import BASE_DENSITIES, MIXINGS

    own = config.real_nvp
    return real_nvp(
        _two_or_more(config, description),
        config.num_layers,
        ResidualMLP(own.width, own.depth),
        BoundedAffine(own.log_scale_bound),
        choose('real_nvp.mixing', own.mixing, MIXINGS),
        choose('prior', config.prior, BASE_DENSITIES),
    )


def _rq_nsf(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import (
        MADE,
        RationalQuadraticSpline,
        ResidualMLP,
        autoregressive_spline_flow,
        choose,
        coupling_spline_flow,
    )
    from train.components import BASE_DENSITIES, MIXINGS

    own = config.rq_nsf
    parts = {
        'num_layers': config.num_layers,
        'transformer': RationalQuadraticSpline(own.num_bins, own.bound),
        'mixing': choose('rq_nsf.mixing', own.mixing, MIXINGS),
        'base': choose('prior', config.prior, BASE_DENSITIES),
    }
    if own.kind == 'coupling':
        D = _two_or_more(config, description)
        return coupling_spline_flow(D, conditioner=ResidualMLP(own.width, own.depth), **parts)
    network = MADE(own.width, own.depth, residual=True)
    return autoregressive_spline_flow(description.num_features, conditioner=network, **parts)


def _two_or_more(config: 'ConfigDict', description: 'Description') -> int:
    """D, of a model whose couplings need two parts."""
    if description.num_features < 2:
        raise ValueError(
            f'config.model={config.model} has couplings and needs data of at least 2 numbers a row; found '
            f'{description.num_features}.'
        )
    return description.num_features


def _glow(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import (
        BoundedAffine,
        ConvNet,
        Dequantisation,
        GlowFlow,
        ImageFlow,
        UniformAugmentation,
        UniformDequantisation,
        VariationalDequantisation,
    )

    sizes, levels = config.glow, description.levels
    assert levels is not None  # of pixels, as preprocessing=levels asks for
    height, width, channels = description.shape
    if any(side % 2**sizes.scales for side in (height, width)):
        raise ValueError(
            f'config.glow.scales must halve the sides of the images that often without a rest; found {sizes.scales} '
            f'for {height} x {width}.'
        )
    parts: dict[str, Any] = {
        'conditioner': ConvNet(sizes.width),
        'transformer': BoundedAffine(sizes.log_scale_bound),
    }
    dequantisation: Dequantisation
    if sizes.dequantisation == 'variational':
        dequantisation = VariationalDequantisation(levels, **parts)
    else:
        dequantisation = UniformDequantisation(levels)
    return ImageFlow(
        shape=(height, width, channels),
        flow=GlowFlow(sizes.scales, sizes.steps, **parts),
        dequantisation=dequantisation,
        augmentation=UniformAugmentation(channels=0),
    )


# The published sizes for vectors; those for images are the models' defaults.
STUDY_VAE_OF_VECTORS = {'hidden': (128,) * 3, 'latent_dim': 4}
LVAE_OF_VECTORS = {'hidden': (128,) * 3, 'latent_dims': (4,) * 3}


def _study_vae(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from vaes import ConvergenceVAE

    return ConvergenceVAE(
        num_features=description.num_features,
        output=_output(config, description),
        kl=config.kl,
        kl_warmup_steps=config.kl_warmup_steps,
        **_sizes(config.study_vae, description, STUDY_VAE_OF_VECTORS),
    )


def _lvae(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from train.step.parallel import AXIS
    from vaes import LadderVAE

    return LadderVAE(
        num_features=description.num_features,
        output=_output(config, description),
        axis_name=AXIS,
        kl=config.kl,
        kl_warmup_steps=config.kl_warmup_steps,
        **_sizes(config.lvae, description, LVAE_OF_VECTORS),
    )


def _sizes(given: Any, description: 'Description', of_vectors: dict[str, Any]) -> dict[str, Any]:
    """The fields of a group that are set; for those that are left empty the published ones of vectors or images."""
    published = of_vectors if len(description.shape) == 1 else {}
    return {**published, **{name: value for name, value in given.items() if value}}


def _draw(read_error: bool, accumulate: bool) -> Build:
    def build(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
        from vaes import DRAW

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
            kl=config.kl,
            kl_warmup_steps=config.kl_warmup_steps,
            **{**config.draw, 'attention': config.draw.attention or None},
        )

    return build


def _output(config: 'ConfigDict', description: 'Description') -> 'Likelihood':
    """p(x | f): Gaussian for vectors, Bernoulli for binary images."""
    from vaes import BernoulliLikelihood, IndependentGaussian

    if len(description.shape) == 1:
        return IndependentGaussian()
    _check_binary(config)
    return BernoulliLikelihood()


def _check_binary(config: 'ConfigDict') -> None:
    if config.preprocessing != 'binarise':
        raise ValueError(
            f'config.model={config.model} models binary images and needs config.preprocessing=binarise; '
            f'found {config.preprocessing}.'
        )


def _laplace_family(module: str, group: str | None = None) -> Build:
    """A builder of one of the five models that share networks. group: its own fields."""

    def build(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
        import vaes

        if (config.vae.output_dist == 'bernoulli') != (config.preprocessing == 'binarise'):
            raise ValueError(
                'config.vae.output_dist=bernoulli and config.preprocessing=binarise go together; found '
                f'{config.vae.output_dist} with {config.preprocessing}.'
            )
        return getattr(vaes, module)(
            num_features=description.num_features,
            kl=config.kl,
            kl_warmup_steps=config.kl_warmup_steps,
            **config.vae,
            **(config[group] if group else {}),
        )

    return build


def _factor_analysis(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from vaes.factor_analysis import FactorAnalysis

    return FactorAnalysis(description.num_features, **config.factor_analysis)


def _gaussian(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    from flows import GaussianFlow

    if description.context and not description.labelled:
        raise ValueError(
            'config.model=gaussian has a Gaussian for each class and takes the class as its context; found '
            f'{description.context} numbers of {description.name}: choose another conditional model.'
        )
    return GaussianFlow()


@dataclasses.dataclass(frozen=True)
class Model:
    """A row of the registry.

    about: one line. has: names of the flat fields, and of other models' groups of fields, that it has beside those of
    every config. own: its own fields, `config.<name of the model>.<field>`. family: models that are compared with each
    other have one name for it, so that one config sets fields of all of them; empty: it is compared with none.
    of_levels: whether it gives whole grey levels probabilities: it takes preprocessing=levels, and nothing else.
    """

    about: str
    build: Build
    has: tuple[str, ...] = ()
    own: tuple[Field, ...] = ()
    family: str = ''
    of_levels: bool = False


_BOUND = ('kl', 'kl_warmup_steps')
_UNITS = rules.whole(1, rules.MOST_UNITS)
_LAYERS = rules.whole(0, rules.MOST_LAYERS)
_WIDEST_WINDOW = 128  # more than the sides of any image here

_MLP_FLOW = (
    Field(
        'gradient',
        'relative',
        rules.one_of('relative', 'equivariant', 'ordinary', 'amortised'),
        'relative: O(D^2); equivariant: the same, for optimizer=equivariant; ordinary: autodiff through slogdet, '
        'O(D^3); amortised: ordinary with kept inverses',
    ),
    Field(
        'refresh_every', 10, rules.whole(1), 'most steps between two inversions, gradient=amortised'
    ),
    Field(
        'inversion',
        'lu',
        rules.one_of('lu', 'newton_schulz'),
        'for gradient=amortised; newton_schulz: matrix products alone',
    ),
    Field(
        'start',
        'orthogonal',
        rules.one_of('orthogonal', 'whiten'),
        'first weights; whiten: ZCA of what reaches a layer',
    ),
    Field('num_bins', 8, rules.whole(2, 1000), 'of each unit of nonlinearity=spline'),
    Field(
        'reach',
        4.0,
        rules.ABOVE_ZERO,
        'standard deviations on both sides of the mean that the bins cover at first',
    ),
    Field(
        'activation_rate',
        3.0,
        rules.ABOVE_ZERO,
        'learning rate of nonlinearity=spline, by Adam, as a multiple of lr',
    ),
)
_NICE = (
    Field('num_couplings', 4, _LAYERS, 'additive couplings, before a diagonal scaling'),
    Field('hidden_layers', 5, _LAYERS, "of each coupling's ReLU network"),
    Field('hidden_units', 1000, _UNITS, 'of each of these layers'),
    Field(
        'partition',
        'odd_first',
        rules.one_of('odd_first', 'even_first', 'halves'),
        'which components drive first',
    ),
)
_FLOW = (
    Field('num_couplings', 4, _LAYERS, 'affine couplings, on vectors'),
    Field('hidden', (200, 100), rules.WIDTHS, "widths of a coupling's network, on vectors"),
    Field('log_scale_bound', 2.0, rules.ABOVE_ZERO, 'largest absolute log-scale of a coupling'),
    Field('scales', 3, rules.whole(1, 16), 'scales of the multi-scale flow, on images'),
    Field('couplings_per_scale', 4, rules.whole(1, rules.MOST_LAYERS), 'on images'),
    Field('width', 64, _UNITS, 'channels inside the DenseNet of a coupling, on images'),
    Field('depth', 8, rules.whole(1, rules.MOST_LAYERS), 'blocks of the DenseNet, on images'),
    Field('growth', 16, _UNITS, 'channels that each block of the DenseNet adds, on images'),
)
_MIXING = rules.one_of('reversal', 'permutation', 'lu', 'relative')
_MADE = (
    Field('width', 512, _UNITS, 'units of a hidden layer'),
    Field('depth', 1, rules.whole(1, rules.MOST_LAYERS), 'hidden layers'),
    Field('num_components', 1, _UNITS, 'Gaussians of a conditional; 1: MADE, more: MADE MoG'),
)
_MAF = (
    Field('width', 256, _UNITS, 'units of a hidden layer'),
    Field('depth', 2, rules.whole(1, rules.MOST_LAYERS), 'hidden layers, or residual blocks'),
    Field('residual', False, rules.SWITCH, 'residual blocks of two layers'),
    Field('mixing', 'reversal', _MIXING, 'of the components, between the layers'),
    Field('num_components', 1, _UNITS, 'Gaussians of a conditional of the base; 1: config.prior'),
)
_REAL_NVP = (
    Field('width', 256, _UNITS, 'units of a hidden layer'),
    Field('depth', 2, rules.whole(1, rules.MOST_LAYERS), 'residual blocks of two layers'),
    Field('mixing', 'reversal', _MIXING, 'of the components, between the layers'),
    Field('log_scale_bound', 2.0, rules.ABOVE_ZERO, 'largest absolute log-scale of a coupling'),
)
_RQ_NSF = (
    Field('kind', 'coupling', rules.one_of('coupling', 'autoregressive'), '(C) or (AR)'),
    Field('width', 256, _UNITS, 'units of a hidden layer'),
    Field('depth', 2, rules.whole(1, rules.MOST_LAYERS), 'residual blocks of two layers'),
    Field('mixing', 'lu', _MIXING, 'of the components, before, between and after the layers'),
    Field('num_bins', 8, rules.whole(2, 500), 'K, of a spline'),
    Field('bound', 3.0, rules.ABOVE_ZERO, 'B, beyond which the splines are the identity'),
)
_GLOW = (
    Field('scales', 2, rules.whole(1, 16), 'L, each halves the sides of the image'),
    Field('steps', 4, rules.whole(1, rules.MOST_LAYERS), 'K of each scale'),
    Field('width', 32, _UNITS, "channels inside a coupling's network"),
    Field('log_scale_bound', 2.0, rules.ABOVE_ZERO, 'largest absolute log-scale of a coupling'),
    Field(
        'dequantisation',
        'uniform',
        rules.one_of('uniform', 'variational'),
        'noise within a grey level; variational: its density is learnt',
    ),
)
_STUDY_VAE = (
    Field(
        'hidden', (), rules.WIDTHS, "widths of the encoder; (): as published for the data's shape"
    ),
    Field(
        'latent_dim', 0, rules.whole(0, rules.MOST_UNITS), 'size of z; 0: as published for the data'
    ),
)
_LVAE = (
    Field('separate_merge', False, rules.SWITCH, 'q has networks of its own, as published'),
    Field('hidden', (), rules.WIDTHS, 'width of each level; (): as published for the data'),
    Field('latent_dims', (), rules.WIDTHS, "size of each level's z; (): as published for the data"),
)
_DRAW = (
    Field(
        'attention',
        0,
        rules.whole(0, _WIDEST_WINDOW),
        'read and write windows of N x N filters; 0: whole images',
    ),
    Field('hidden', 256, _UNITS, 'units of both LSTMs'),
    Field('latent_dim', 32, _UNITS, 'size of z of a step'),
    Field('num_steps', 10, rules.whole(1, rules.MOST_LAYERS), 'steps T'),
)
_VAE = (
    Field('z_dim', 50, _UNITS, 'size of z'),
    Field('hidden_dim', 500, _UNITS, 'of both hidden layers of encoder and decoder'),
    Field(
        'output_dist',
        'gaussian',
        rules.one_of('gaussian', 'bernoulli'),
        'bernoulli goes with preprocessing=binarise',
    ),
    Field(
        'initialisation',
        'unit_variance',
        rules.one_of('unit_variance', 'published'),
        'first weights, see vaes/mlp.py',
    ),
)
_SA_VAE = (
    Field('n_svi_step', 4, _LAYERS, 'steps up the bound'),
    Field('svi_lr', 0.3, rules.ABOVE_ZERO, 'their length; published: 5e-4'),
)
_N_FLOW = Field('n_flow', 4, _LAYERS, 'steps of the flow')
_IAF_DIM = Field('iaf_dim', 500, _UNITS, 'hidden units of a step')
_VLAE = (
    Field('n_update', 4, _LAYERS, 'updates of the mode'),
    Field('update_lr', 0.5, rules.ABOVE_ZERO, 'of the damped and the decayed rule'),
    Field(
        'update_rule',
        'damped',
        rules.one_of('damped', 'decayed', 'newton'),
        'damped, as published; decayed, as first released; newton, with a line search',
    ),
)

_LAPLACE = (*_BOUND, 'vae')
_DRAWS = (*_BOUND, 'draw')

MODELS = {
    'mlp_flow': Model(
        'MLP flow with the relative gradient (Gresele et al. 2020)',
        _mlp_flow,
        ('prior', 'num_layers', 'nonlinearity', 'alpha', 'bias'),
        _MLP_FLOW,
    ),
    'nice': Model('additive couplings, NICE (Dinh et al. 2014)', _nice, ('prior',), _NICE),
    'flow': Model(
        'affine couplings on vectors, a multi-scale flow on binary images',
        _flow,
        ('prior',),
        _FLOW,
        'study',
    ),
    'made': Model(
        'masked autoregressive density (Germain et al. 2015), with mixtures too',
        _made,
        ('prior',),
        _MADE,
    ),
    'maf': Model(
        'masked autoregressive flow (Papamakarios et al. 2017)', _maf, ('prior', 'num_layers'), _MAF
    ),
    'real_nvp': Model(
        'Real NVP on vectors (Dinh et al. 2017)', _real_nvp, ('prior', 'num_layers'), _REAL_NVP
    ),
    'rq_nsf': Model(
        'neural spline flow (Durkan et al. 2019)', _rq_nsf, ('prior', 'num_layers'), _RQ_NSF
    ),
    'glow': Model('Glow on grey levels (Kingma, Dhariwal 2018)', _glow, (), _GLOW, of_levels=True),
    'study_vae': Model('VAE of the convergence study', _study_vae, _BOUND, _STUDY_VAE, 'study'),
    'lvae': Model('ladder VAE (Sonderby et al. 2016)', _lvae, _BOUND, _LVAE, 'study'),
    'draw': Model('DRAW (Gregor et al. 2015)', _draw(True, True), _BOUND, _DRAW, 'study'),
    'draw2': Model('DRAW that reads no error image', _draw(False, True), _DRAWS, (), 'study'),
    'draw3': Model('DRAW whose steps replace the canvas', _draw(True, False), _DRAWS, (), 'study'),
    'draw4': Model('DRAW of draw2 and draw3 at once', _draw(False, False), _DRAWS, (), 'study'),
    'vae': Model(
        'variational autoencoder (Kingma, Welling 2013)',
        _laplace_family('VAE'),
        _BOUND,
        _VAE,
        'laplace',
    ),
    'sa_vae': Model(
        'semi-amortised VAE (Kim et al. 2018)',
        _laplace_family('SAVAE', 'sa_vae'),
        _LAPLACE,
        _SA_VAE,
        'laplace',
    ),
    'hf': Model(
        'VAE with a Householder flow (Tomczak, Welling 2016)',
        _laplace_family('HouseholderVAE', 'hf'),
        _LAPLACE,
        (_N_FLOW,),
        'laplace',
    ),
    'iaf': Model(
        'VAE with inverse autoregressive flows (Kingma et al. 2016)',
        _laplace_family('IAFVAE', 'iaf'),
        _LAPLACE,
        (_N_FLOW, _IAF_DIM),
        'laplace',
    ),
    'vlae': Model(
        'variational Laplace autoencoder (Park et al. 2019)',
        _laplace_family('VLAE', 'vlae'),
        _LAPLACE,
        _VLAE,
        'laplace',
    ),
    'factor_analysis': Model(
        'factor analysis, exact (Tipping, Bishop 1999)',
        _factor_analysis,
        (),
        (
            Field('num_factors', 50, _UNITS, 'dimensions of z, fewer than those of x'),
            Field('isotropic', False, rules.SWITCH, 'the same noise in every dimension of x'),
        ),
    ),
    'gaussian': Model('a Gaussian with full covariance, with context=label one a class', _gaussian),
}


def having(field: str) -> tuple[str, ...]:
    """The models that have a field, by its name behind `config.`; () for a field that every config has."""
    group = field.partition('.')[0]
    return tuple(name for name, row in MODELS.items() if group == name or group in row.has)


def has(model: str, field: str) -> bool:
    """Whether a field is one of a model's, or of every config's."""
    names = having(field)
    return not names or model in names


def create(config: 'ConfigDict', description: 'Description') -> 'contract.Model':
    """The Linen module of a config; raises UserError for an unknown name or a field the model refuses."""
    if config.model not in MODELS:
        raise UserError(f'config.model must be one of {", ".join(MODELS)}; found {config.model}.')
    _check_levels(config)
    try:
        model = MODELS[config.model].build(config, description)
    except ValueError as error:
        raise UserError(str(error)) from error
    if description.context and not model.conditional:
        raise UserError(
            'a context needs a model of p(x | c), such as gaussian; found '
            f'config.model={config.model} and a context of {description.context} numbers with each example of '
            f'{description.name}: choose such a model, or leave config.context empty.'
        )
    if config.importance == 'refined' and not model.refinable:
        raise UserError(
            'config.importance=refined needs a model with a posterior over one vector z (vae, sa_vae, hf, iaf, vlae, '
            f'study_vae); found config.model={config.model}: use config.importance=posterior.'
        )
    return model


def _check_levels(config: 'ConfigDict') -> None:
    """Raise UserError unless a model of whole grey levels gets them, and no other one does."""
    model, preprocessing = config.model, config.preprocessing
    if MODELS[model].of_levels and preprocessing != 'levels':
        raise UserError(
            f'config.model={model} models whole grey levels and needs config.preprocessing=levels; '
            f'found {preprocessing}.'
        )
    if preprocessing == 'levels' and not MODELS[model].of_levels:
        known = ', '.join(name for name, row in MODELS.items() if row.of_levels)
        raise UserError(
            f'config.preprocessing=levels keeps whole grey levels, which only {known} models; '
            f'found config.model={model}: use config.preprocessing=none.'
        )


def family(model: str) -> set[str]:
    """The models that a model is compared with, itself among them."""
    name = MODELS[model].family
    return {model, *(other for other, row in MODELS.items() if name and row.family == name)}


def check_fields(
    values: dict[str, Any], defaults: dict[str, Any], given: Collection[str] = ()
) -> None:
    """Raise a UserError for fields that the model of a config does not have and that are not at their defaults.

    They would be ignored. values, defaults: name behind `config.` -> value, see `train.config.flat`. A config may set
    fields for other models of the same family; none of those may be in `given`, the names of the fields that were set
    for this one run.
    """
    model = values['model']
    if model not in MODELS:
        return  # `create` says which models there are
    compared = family(model)
    ignored = [
        field
        for field, value in sorted(values.items())
        if value != defaults[field]
        and not has(model, field)
        and (field in given or not compared.intersection(having(field)))
    ]
    if ignored:
        found = ', '.join(f'{field}={values[field]}' for field in ignored)
        left = ', '.join(f'{field}={defaults[field]}' for field in ignored)
        raise UserError(
            f'config.model={model} has no field {ignored[0]}, which is for {", ".join(having(ignored[0]))}; found '
            f'{found}: leave it at the default, {left}, or choose another config or model.'
        )
