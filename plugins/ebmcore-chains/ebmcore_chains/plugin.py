"""What this distribution offers to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_chains() -> dict[str, str]:
    """Offer the ways to begin."""
    return {
        "data": "ebmcore_chains.batch:Data",
        "noise": "ebmcore_chains.noise:Noise",
        "persistent": "ebmcore_chains.persistent:Persistent",
    }
