"""Published figures, beside which reports put what was obtained; each with its source."""

GRESELE = 'Gresele et al. 2020, arXiv:2006.15090'
NICE = 'Dinh et al. 2014, arXiv:1410.8516'

# (model, dataset) -> (figure, source); test log-likelihoods in nats, model space unless it says otherwise.
RUNS = {
    ('mlp_flow', 'mnist'): ('-1375.2 +- 1.4', GRESELE),
    ('mlp_flow', 'power'): ('0.065 +- 0.013', GRESELE),
    ('mlp_flow', 'gas'): ('6.978 +- 0.020', GRESELE),
    ('mlp_flow', 'hepmass'): ('-21.958 +- 0.019', GRESELE),
    ('mlp_flow', 'miniboone'): ('-13.372 +- 0.450', GRESELE),
    ('mlp_flow', 'bsds300'): ('151.12 +- 0.28', GRESELE),
    ('nice', 'mnist'): ('1980.50 in data space', NICE),
    ('nice', 'svhn_cropped'): ('11496.55 in data space', NICE),
    ('nice', 'cifar10'): ('5371.78 on [-1, 1]', NICE),
}

# (model, dataset) -> lowest validation loss in nats of the convergence study: mean +- deviation over its 10 seeds, or
# over those of them that ever had a loss.
STUDIES = {
    ('flow', '8gaussians'): '2.91 +- 0.02, 1 of 10 diverged',
    ('lvae', '8gaussians'): '5.822, 2 of 10 diverged',
    ('study_vae', '8gaussians'): '5.817',
    ('flow', 'checkerboard'): '3.58 +- 0.03, 5 of 10 diverged',
    ('lvae', 'checkerboard'): '6.918, 5 of 10 diverged',
    ('study_vae', 'checkerboard'): '6.910',
    ('draw', 'mnist'): '86.33 +- 0.05',
    ('draw2', 'mnist'): '86.02 +- 0.08',
    ('draw3', 'mnist'): '85.85 +- 0.07',
    ('draw4', 'mnist'): '85.67 +- 0.04',
    ('flow', 'mnist'): '162.2 +- 44.7, 7 of 10 diverged',
    ('lvae', 'mnist'): '125.9 +- 0.18',
    ('study_vae', 'mnist'): '124.65 +- 0.30',
    ('draw', 'omniglot'): '114.75 +- 0.26',
    ('draw2', 'omniglot'): '113.67 +- 0.22',
    ('draw3', 'omniglot'): '109.56 +- 0.15',
    ('draw4', 'omniglot'): '108.32 +- 0.22',
}
