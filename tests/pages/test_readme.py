"""What the README and the pages show works as it stands there."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def block(marker, page='README.md'):
    """The code block behind an HTML comment."""
    text = (ROOT / page).read_text()
    return re.search(rf'<!-- {marker} -->\n```\w*\n(.*?)```', text, re.DOTALL).group(1)


def test_example_trains_to_the_likelihood_of_its_data(capsys):
    code = block('example', 'docs/relative_layer.md')
    assert len(code.splitlines()) <= 36
    exec(compile(code, 'relative_layer.md', 'exec'), {'__name__': 'example'})
    value = float(re.search(r'log p = (-?[\d.]+) nats', capsys.readouterr().out).group(1))
    # At most minus the entropy of the data's Gaussian, 4 / 2 log(2 pi e) + log 24 = 8.85 nats, give or take 256 draws;
    # the orthogonal start is at -18.9.
    assert -9.7 < value < -8.5


def test_set_up_takes_one_line_each():
    assert len(block('main command').splitlines()) == 1
    assert len(block('test command').splitlines()) == 1


def test_published_flags_are_config_fields():
    from train import config as defaults

    published = (
        'dataset toy_name num_layers nonlinearity alpha bias batch_size lr epochs '
        'look_ahead log_every seed generation'
    )
    assert set(published.split()) <= set(defaults.get_config().keys())
