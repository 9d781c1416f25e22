"""The hooks of this distribution, which offer its sampler to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_samplers() -> dict[str, str]:
    """Offer parallel tempering."""
    return {"parallel_tempering": "ebmcore_tempering.kernel:ParallelTempering"}
