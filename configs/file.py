"""A neural spline flow of your own table (Durkan et al. 2019, arXiv:1906.04032), autoregressive.

    python -m train.main --config=configs/file.py --config.path=table.csv

Reads .csv, .tsv, .txt, .parquet, .npy, .npz, .h5, several of them by a pattern ("part-*.csv"), or a folder of images.
`--config.columns=a,b` takes these columns, `--config.context=c` models p(a, b | c), `--config.bounds=a:0..1,b:0..` says
what numbers lie between, `--config.categorical=k` that the numbers of a column are categories, as texts are. Splits are
drawn 80/10/10, or lie in `--config.validation_path` and `--config.test_path`. docs/tables.md says what becomes of rows.

The learning rate falls to zero over config.epochs; the best epoch on validation is kept.
"""

from ml_collections import ConfigDict

from train import config as defaults


def get_config(variant: str = '') -> ConfigDict:
    """The experiment, or its `smoke` variant on a table of scikit-learn that ends in seconds."""
    config = defaults.get_config()
    config.dataset = 'file'
    config.preprocessing = 'standardise'
    config.model = 'rq_nsf'
    config.num_layers = 3
    config.rq_nsf.kind = 'autoregressive'
    config.rq_nsf.width = 64
    config.rq_nsf.depth = 1
    config.batch_size = 256
    config.lr = 5e-3
    config.warmup = 50
    config.schedule = 'cosine'
    config.grad_clip = 5.0
    config.ema = 0.99
    config.epochs = 60
    config.look_ahead = 15
    config.log_every = 5
    config.eval_batch_size = 4000
    config.generation = False
    smoke = {'path': 'sklearn:diabetes', 'columns': 'age,bmi,bp', 'batch_size': 64, 'warmup': 2}
    return defaults.with_variant(config, variant, {'smoke': {**smoke, 'epochs': 2, 'log_every': 1}})
