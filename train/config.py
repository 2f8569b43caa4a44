"""Every field that configs share, with its default and meaning; experiments override what they need."""

import ml_collections

from train.errors import UserError


def get_config():
    """The defaults, locked: an experiment starts from these, and a field that is not there cannot be set."""
    config = ml_collections.ConfigDict()
    _model(config)
    _data(config)
    _optimisation(config)
    _study(config)
    _run(config)
    return config.lock()


def completed(stored, path):
    """The config (a ConfigDict) of stored fields, those that are younger than it at their defaults.

    stored: a mapping, from the file `path`. A UserError where a field is not known or has a value of another type.
    """
    if not isinstance(stored, dict):
        raise UserError(f'the config in {path} must be a JSON object, found {stored!r}.')
    config = get_config()
    unknown = sorted(stored.keys() - config.keys())
    if unknown:
        raise UserError(
            f'{path} must hold fields of train/config.py, found {", ".join(unknown)}; use the version that wrote it.'
        )
    try:
        config.update(stored)
    except (TypeError, ValueError) as error:
        raise UserError(
            f'{path} must hold values of the types in train/config.py ({error}); restore it from a copy.'
        ) from error
    return config


def _model(config):
    # Flows: mlp_flow | nice | flow. Laplace family: vae | sa_vae | hf | iaf | vlae.
    # Convergence study: flow | study_vae | lvae | draw | draw2 | draw3 | draw4.
    config.model = 'mlp_flow'
    config.prior = 'gaussian'  # gaussian | logistic: the flow's factorial base density
    # mlp_flow: affine layers with an activation after each but the last.
    config.num_layers = 2
    config.nonlinearity = 'smooth_leaky_relu'  # smooth_leaky_relu | leaky_tanh | elu | softplus
    config.alpha = 0.01  # slope of smooth_leaky_relu on the left; scale of elu
    config.bias = True
    # relative: O(D^2) | equivariant: the same, for optimizer=equivariant | ordinary: autodiff through slogdet, O(D^3) |
    # amortised: ordinary with kept inverses
    config.gradient = 'relative'
    config.refresh_every = 10  # the most steps between two inversions, for gradient=amortised
    config.inversion = 'lu'  # lu | newton_schulz: matrix products alone, for gradient=amortised
    config.start = 'orthogonal'  # orthogonal | whiten: ZCA of what reaches a layer
    # nice: additive couplings and a diagonal scaling; flow: num_couplings affine couplings on vectors.
    config.num_couplings = 4
    config.log_scale_bound = 2.0  # flow: the largest absolute log-scale of a coupling
    config.hidden_layers = 5  # of each coupling's ReLU network
    config.hidden_units = 1000
    config.partition = 'odd_first'  # odd_first | even_first | halves
    # vae, sa_vae, hf, iaf, vlae: shared networks, different posteriors.
    config.z_dim = 50
    config.hidden_dim = 500  # of both hidden layers of encoder and decoder
    config.output_dist = 'gaussian'  # gaussian | bernoulli, which goes with preprocessing=binarise
    config.initialisation = 'unit_variance'  # unit_variance | published; see vaes/mlp.py
    config.n_svi_step = 4  # sa_vae: steps up the bound
    config.svi_lr = 0.3  # sa_vae: their length; published: 5e-4
    config.n_flow = 4  # hf, iaf: steps of the flow
    config.iaf_dim = 500  # iaf: hidden units of a step
    config.n_update = 4  # vlae: updates of the mode
    config.update_lr = 0.5  # vlae: of the damped and the decayed rule
    # vlae: damped, as published | decayed, as first released | newton, with a line search
    config.update_rule = 'damped'
    config.separate_merge = False  # lvae: q has networks of its own, as in the published study
    config.attention = 0  # draw: read and write windows of N x N filters; 0: whole images
    # All latent-variable models.
    config.kl = (
        'sample'  # sample: at the one draw, as published | analytic: where it has a closed form
    )
    config.kl_warmup_steps = (
        0  # steps over which the weight of the KL in the loss grows from 0 to 1
    )


def _data(config):
    config.dataset = 'mnist'
    config.toy_name = 'sine'  # which density, for dataset=toy
    config.toy_size = 5000  # rows of each split, for dataset=toy
    config.max_rows = 0  # use at most the first so many rows of each split, to try out; 0: all
    # none | logit | logit_mean | logit_rms | standardise | mean | zca | unit | pixel_mean | binarise
    config.preprocessing = 'none'
    config.logit_lambda = 1e-6  # pixels are squeezed to [lambda, 1 - lambda] before the logit
    config.zca_epsilon = 1e-3  # added to the variances that preprocessing=zca divides by
    config.symmetric_range = False  # images in (-1, 1) instead of (0, 1), before the preprocessing
    config.flip = False  # mirror training images at random (cifar10)
    config.source = 'map'  # map: memory-mapped files | memory: read whole
    config.data_dir = ''  # prepared TFDS directory; empty: TFDS_DATA_DIR, then TFDS's default
    config.manual_dir = ''  # folder with original files downloaded by hand
    config.cache_dir = (
        ''  # memory-mapped copies; empty: beside the prepared data, else the user's cache
    )


def _optimisation(config):
    config.seed = 42  # initialisation, order, noise and toy data all follow from it
    config.seed_init = -1  # a seed of its own for one of them; -1: config.seed
    config.seed_order = -1
    config.seed_noise = -1
    config.seed_data = -1  # toy data, and the noise of evaluation
    config.batch_size = 128  # rows per step over all devices
    config.lr = 1e-3  # peak learning rate
    config.optimizer = (
        'adam'  # adam | adamw | adamax | sgd | equivariant, which goes with gradient=equivariant
    )
    config.b1 = 0.9  # first-moment decay of adam and adamax; momentum of sgd and equivariant
    config.b2 = 0.999
    config.eps = 1e-8
    config.weight_decay = 0.0  # decoupled, with adamw; the published code's is L2
    config.schedule = (
        'constant'  # constant | cosine | linear, the latter two to zero at schedule_steps
    )
    config.schedule_steps = 0
    config.warmup = 0  # steps of linear warm-up
    config.grad_clip = 0.0  # largest global norm of the gradient; 0: off
    config.on_nan = 'raise'  # raise | rollback: to the last checkpoint, with half the learning rate
    config.max_rollbacks = 3  # after which on_nan=rollback raises too
    config.ema = 0.0  # decay of the parameter average that evaluation uses; 0: off
    config.matmul_precision = (
        'highest'  # of matrix products in training; evaluation is always highest
    )
    config.epochs = 100  # a larger value extends a finished run
    config.look_ahead = 30  # epochs without improvement on validation before stopping
    config.eval_every = 1  # epochs between validations
    config.init_examples = 10_000  # training rows that data-dependent layers start from
    config.init_from = ''  # workdir of a run whose best parameters to start from


def _study(config):
    config.num_seeds = 1  # how many seeds `train.study` trains: config.seed, config.seed + 1, ...
    config.vary = 'init,order,noise'  # what differs between the seeds; the rest follows config.seed
    config.seed_axis = (
        'auto'  # map | vmap | auto: how the seeds of one device run; auto: map on a CPU
    )


def _run(config):
    config.num_devices = 0  # local devices to use; 0: all
    config.steps_per_call = 50  # steps in one device program, at most
    config.eval_batch_size = (
        1000  # rows per evaluation call over all devices, rounded up to the devices
    )
    config.eval_samples = 1  # posterior samples of a bound's validation
    config.num_samples = 5000  # importance samples of a bound's test likelihood
    # posterior: drawn from the model's own | refined: from a Gaussian fitted to each example, see vaes/refined.py
    config.importance = 'posterior'
    # test | validation: where the finished run is measured; validation keeps the test split closed while candidates
    # are compared
    config.final_split = 'test'
    config.log_every = 1  # epochs between printed lines
    config.generation = True  # pictures of samples
    config.generation_every = 10  # epochs between them
    config.tensorboard = True
    config.profile_steps = 0  # steps of the second call on to profile into the workdir; 0: none


def with_variant(config, variant, variants):
    """The config with the overrides of `--config=file.py:variant`; an unknown one raises a ValueError."""
    if variant and variant not in variants:
        raise ValueError(
            f'the variant after the colon must be one of {sorted(variants)}; found {variant}.'
        )
    config.update(variants.get(variant, {}))
    return config
