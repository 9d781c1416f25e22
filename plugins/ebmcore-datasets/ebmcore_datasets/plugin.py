"""The hooks of this distribution, which offer its datasets to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_datasets() -> dict[str, str]:
    """Offer the datasets."""
    return {
        "binary_digits": "ebmcore_datasets.digits:BinaryDigits",
        "checkerboard": "ebmcore_datasets.checkerboard:Checkerboard",
        "digits": "ebmcore_datasets.digits:Digits",
        "eight_gaussians": "ebmcore_datasets.eight_gaussians:EightGaussians",
        "file": "ebmcore_datasets.file:File",
        "gaussian_mixture": "ebmcore_datasets.gaussian_mixture:GaussianMixture",
        "images": "ebmcore_datasets.image_files.dataset:Images",
        "mnist": "ebmcore_datasets.mnist:Mnist",
        "moons": "ebmcore_datasets.moons:Moons",
        "pinwheel": "ebmcore_datasets.pinwheel:Pinwheel",
        "rings": "ebmcore_datasets.rings:Rings",
        "sines": "ebmcore_datasets.sines:Sines",
        "time_series": "ebmcore_datasets.time_series.dataset:TimeSeries",
        "two_spirals": "ebmcore_datasets.two_spirals:TwoSpirals",
    }
