"""Images in files of a folder."""

from ebmcore_datasets.image_files.dataset import Images

__all__ = ["Images"]
