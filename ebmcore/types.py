"""Names for the common ranges of a parameter: `step_size: PositiveFloat = 0.01`.

They are plain `typing.Annotated` with annotated-types. Write any other constraint the same way:
`Annotated[int, Ge(2), Le(9)]`.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
PositiveInt = Annotated[int, Gt(0)]
NonNegativeInt = Annotated[int, Ge(0)]
Probability = Annotated[float, Ge(0), Le(1)]
