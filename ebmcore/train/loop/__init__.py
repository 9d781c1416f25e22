"""The training loop, and the concerns that it is made of, one a file."""

from ebmcore.train.loop.loop import Loop as Loop
from ebmcore.train.loop.recorder import Recorder as Recorder
