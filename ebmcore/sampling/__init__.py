"""Samplers: Markov kernels run on an energy, which they leave as it was."""

from ebmcore.sampling.chain import sample_chain as sample_chain
from ebmcore.sampling.conditions import CONDITIONS as CONDITIONS
from ebmcore.sampling.conditions import Given as Given
from ebmcore.sampling.conditions import conditioned as conditioned
from ebmcore.sampling.conditions import conditions_bound as conditions_bound
from ebmcore.sampling.conditions import conditions_of as conditions_of
from ebmcore.sampling.conditions import energy_alone as energy_alone
from ebmcore.sampling.conditions import given as given
from ebmcore.sampling.conditions import one_each as one_each
from ebmcore.sampling.energy_checks import Differentiable as Differentiable
from ebmcore.sampling.energy_checks import check_energies as check_energies
from ebmcore.sampling.energy_checks import energy_and_score as energy_and_score
from ebmcore.sampling.energy_checks import evaluating as evaluating
from ebmcore.sampling.energy_checks import module_of as module_of
from ebmcore.sampling.function_kernel import StartFunction as StartFunction
from ebmcore.sampling.function_kernel import StepFunction as StepFunction
from ebmcore.sampling.function_kernel import as_chains as as_chains
from ebmcore.sampling.function_kernel import as_kernel as as_kernel
from ebmcore.sampling.sampler import Sampler as Sampler
from ebmcore.sampling.sampler import run_kernel as run_kernel
from ebmcore.sampling.walk import Walk as Walk
