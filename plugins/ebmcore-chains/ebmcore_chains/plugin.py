"""The hooks of this distribution, which offer its kinds of chains to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_chains() -> dict[str, str]:
    """Offer the kinds of chains."""
    return {
        "data": "ebmcore_chains.batch:Data",
        "noise": "ebmcore_chains.noise:Noise",
        "proposed": "ebmcore_chains.proposed:Proposed",
        "persistent": "ebmcore_chains.persistent:Persistent",
    }
