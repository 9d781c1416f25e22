"""The hooks of this distribution, which offer its tracker to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_trackers() -> dict[str, str]:
    """Offer the tracker."""
    return {"tensorboard": "ebmcore_tensorboard.tracker:TensorBoard"}
