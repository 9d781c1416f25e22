"""Pydantic models made of parameters."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from ebmcore.config.values.signature import REQUIRED, Parameter

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Check(NamedTuple):
    """In an annotation: a function that returns the value, or raises ValueError."""

    function: Callable[[Any], Any]


def model_of(parameters: Iterable[Parameter]) -> type[BaseModel]:
    """Return a model with a field `p0`, `p1`, … for each parameter, its name as the alias."""
    parameters = tuple(parameters)
    try:  # 1 equals True, and int | float equals float | int: their text tells them apart
        return _model_of(parameters, repr(parameters))
    except Exception:  # a default such as a list has no hash
        return _model_of.__wrapped__(parameters, "")


@lru_cache(maxsize=512)  # pydantic takes a millisecond or two for each
def _model_of(parameters: tuple[Parameter, ...], text: str) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for i, parameter in enumerate(parameters):
        default = ... if parameter.default is REQUIRED else parameter.default
        description = parameter.description or None
        # aliases keep a key named `schema` or `validate` from clashing with pydantic's methods
        field = partial(Field, alias=parameter.name, description=description)
        fields[f"p{i}"] = (_annotation(parameter.annotation), field(default))
    try:
        return _make(fields)
    except Exception:  # one annotation that pydantic can't read; the other keys keep theirs
        sound = {name: entry for name, entry in fields.items() if _can_make(name, entry)}
        return _make({n: sound.get(n, (Any, field)) for n, (_, field) in fields.items()})


def _make(fields: dict[str, Any]) -> type[BaseModel]:
    """Make a model. Raises as pydantic does, and TypeError for a key that it would leave out."""
    make: Callable[..., type[BaseModel]] = partial(create_model, "Keys", __config__=_CONFIG)
    model = make(**fields)
    if set(model.model_fields) != set(fields):  # a ClassVar isn't a field
        raise TypeError("not every annotation makes a field")
    return model


def _can_make(name: str, entry: Any) -> bool:
    try:
        _make({name: entry})
    except Exception:  # pydantic and a stranger's type may raise anything
        return False
    return True


def _annotation(annotation: Any) -> Any:
    """Turn our metadata into pydantic's; drop tensors from unions, since YAML can't hold them."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        inner, *metadata = arguments
        turned = (AfterValidator(m.function) if isinstance(m, Check) else m for m in metadata)
        result: Any = _annotation(inner)
        for item in turned:
            result = typing.Annotated[result, item]
        return result
    if origin in (typing.Union, types.UnionType):
        kept = [_annotation(a) for a in arguments if not _is_tensor(a)]
        return typing.Union[tuple(kept)] if kept else Any  # noqa: UP007 (made at run time)
    if origin is tuple and arguments:
        return tuple[tuple(a if a is ... else _annotation(a) for a in arguments)]  # type: ignore[misc] # made at run time
    return annotation


def _is_tensor(annotation: Any) -> bool:
    return getattr(annotation, "__name__", "") == "Tensor"
