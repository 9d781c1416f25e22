"""The hook that offers the transforms to ebmcore; this module doesn't import torch."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_transforms() -> dict[str, str]:
    """Offer the transforms."""
    return {
        "augment": "ebmcore_transforms.augment:Augment",
        "dequantise": "ebmcore_transforms.dequantise:Dequantise",
        "logit": "ebmcore_transforms.logit:Logit",
        "min_max": "ebmcore_transforms.scaling:MinMax",
        "one_hot": "ebmcore_transforms.one_hot:OneHot",
        "pad": "ebmcore_transforms.pad:Pad",
        "rank_gaussian": "ebmcore_transforms.rank_gaussian:RankGaussian",
        "robust_scale": "ebmcore_transforms.scaling:RobustScale",
        "standardise": "ebmcore_transforms.scaling:Standardise",
        "whiten": "ebmcore_transforms.whiten:Whiten",
    }
