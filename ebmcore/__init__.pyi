"""The public names of ebmcore; `__init__.py` imports each from here when it is first used."""

from ebmcore.contracts import Carried as Carried
from ebmcore.contracts import Chains as Chains
from ebmcore.contracts import Energy as Energy
from ebmcore.contracts import Job as Job
from ebmcore.contracts import Kernel as Kernel
from ebmcore.contracts import Launcher as Launcher
from ebmcore.contracts import RunView as RunView
from ebmcore.contracts import Sample as Sample
from ebmcore.contracts import Start as Start
from ebmcore.contracts import Task as Task
from ebmcore.contracts import Trace as Trace
from ebmcore.data import refuse_lost_digits as refuse_lost_digits
from ebmcore.decorators import chains as chains
from ebmcore.decorators import dataset as dataset
from ebmcore.decorators import energy as energy
from ebmcore.decorators import launcher as launcher
from ebmcore.decorators import loss as loss
from ebmcore.decorators import monitor as monitor
from ebmcore.decorators import sampler as sampler
from ebmcore.distributed.whole_batch import whole_batch as whole_batch
from ebmcore.errors import ComponentError as ComponentError
from ebmcore.errors import ConfigError as ConfigError
from ebmcore.errors import DataError as DataError
from ebmcore.errors import DivergenceError as DivergenceError
from ebmcore.errors import EbmError as EbmError
from ebmcore.errors import PluginError as PluginError
from ebmcore.errors import Problem as Problem
from ebmcore.errors import RunError as RunError
from ebmcore.errors import RunInterrupted as RunInterrupted
from ebmcore.hooks import hookimpl as hookimpl
from ebmcore.plugins import Host as Host
from ebmcore.runner.api import load as load
from ebmcore.runner.api import resume as resume
from ebmcore.runner.api import run as run
from ebmcore.runner.evaluation import Evaluation as Evaluation
from ebmcore.runner.evaluation import evaluate as evaluate
from ebmcore.runner.experiment import Experiment as Experiment
from ebmcore.runner.run import Run as Run
from ebmcore.runs.logs import open_log as open_log
from ebmcore.sampling import Differentiable as Differentiable
from ebmcore.sampling import Sampler as Sampler
from ebmcore.sampling import conditioned as conditioned
from ebmcore.sampling import energy_and_score as energy_and_score
from ebmcore.sampling import given as given
from ebmcore.sampling import init_state as init_state
from ebmcore.sampling import replicated as replicated
from ebmcore.sampling import sample_chain as sample_chain
from ebmcore.sampling import start_chains as start_chains
from ebmcore.types import NonNegativeFloat as NonNegativeFloat
from ebmcore.types import NonNegativeInt as NonNegativeInt
from ebmcore.types import PositiveFloat as PositiveFloat
from ebmcore.types import PositiveInt as PositiveInt
from ebmcore.types import Probability as Probability

__version__: str
__all__: list[str]
