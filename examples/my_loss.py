"""A loss of your own, in a file that needs no installation.

ebmcore run examples/five_gaussians.yaml -p examples/my_loss.py loss.type=softplus_gap
"""

from torch.nn.functional import softplus

from ebmcore import loss


@loss
def softplus_gap(energy, x, x_neg, *, beta: float = 1.0):
    """Push data down and samples up pair by pair, softly: mean softplus(β (E(x) - E(x⁻))) / β.

    Args:
        beta: How quickly the push fades for a pair that is already in the right order.
    """
    return softplus(beta * (energy(x) - energy(x_neg))).mean() / beta
