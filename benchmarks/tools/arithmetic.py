"""How much arithmetic a program does in its matrix products."""

import math

import jax
from jax.extend.core import jaxprs_in_params


def multiply_adds(function, *arguments):
    """Multiply-adds of all matrix products in `function(*arguments)`, those in loops as often as they run.

    Routines of LAPACK and elementwise operations are not counted. arguments: arrays or their shapes.
    """
    return _of_jaxpr(jax.make_jaxpr(function)(*arguments).jaxpr)


def _of_jaxpr(jaxpr):
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation):
    params, name = equation.params, equation.primitive.name
    if name == 'dot_general':
        (contracted, _), _ = params['dimension_numbers']
        left = equation.invars[0].aval.shape
        return equation.outvars[0].aval.size * math.prod(left[axis] for axis in contracted)
    if name == 'custom_linear_solve':  # the product and its transpose are for derivatives only
        params = {'solve': params['jaxprs'].solve}
    inner = sum(_of_jaxpr(jaxpr) for jaxpr in jaxprs_in_params(params))
    return inner * params.get('length', 1)  # of a scan
