"""Samplers: Markov kernels run on an energy, which they leave as it was."""

from ebmcore.sampling.chain import sample_chain as sample_chain
from ebmcore.sampling.energy_checks import Differentiable as Differentiable
from ebmcore.sampling.energy_checks import check_energies as check_energies
from ebmcore.sampling.energy_checks import energy_and_score as energy_and_score
from ebmcore.sampling.energy_checks import evaluating as evaluating
from ebmcore.sampling.function_kernel import StartFunction as StartFunction
from ebmcore.sampling.function_kernel import StepFunction as StepFunction
from ebmcore.sampling.function_kernel import as_chains as as_chains
from ebmcore.sampling.function_kernel import as_kernel as as_kernel
from ebmcore.sampling.sampler import Sampler as Sampler
from ebmcore.sampling.sampler import run_kernel as run_kernel
from ebmcore.sampling.slots import carried_by as carried_by
from ebmcore.sampling.slots import carried_on as carried_on
from ebmcore.sampling.slots import init_state as init_state
from ebmcore.sampling.slots import named_slots as named_slots
from ebmcore.sampling.slots import start_chains as start_chains
from ebmcore.sampling.walk import Walk as Walk
from ebmcore.sampling.walk import own_loop as own_loop
