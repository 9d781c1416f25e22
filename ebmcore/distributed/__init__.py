"""Training on several processes: their ranks, and what they send each other.

The name below is for plugins that start runs.
"""

from ebmcore.distributed.rank import RankInfo

__all__ = ["RankInfo"]
