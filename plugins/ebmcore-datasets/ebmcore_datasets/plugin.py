"""What this distribution offers to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_datasets() -> dict[str, str]:
    """Offer the data."""
    return {
        "digits": "ebmcore_datasets.digits:Digits",
        "file": "ebmcore_datasets.file:File",
        "gaussian_mixture": "ebmcore_datasets.gaussian_mixture:GaussianMixture",
    }
