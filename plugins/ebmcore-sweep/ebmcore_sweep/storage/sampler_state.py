"""Samplers that keep state in the study, where others may write: the state is checked.

CmaEsSampler keeps its optimizer as a pickle, which runs code when it is read. Here each one carries
the signature of this user's installation, and none is opened without it. So nobody can go on with
another user's CMA-ES, and a sweep that several users work at takes another sampler. QMCSampler
keeps how far its sequence is, and would count up to any number.

The other samplers and the pruners of Optuna keep numbers and JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ebmcore import EbmError, PluginError
from ebmcore.runs import config_folder, is_signed, sign
from ebmcore_sweep.storage.guarded import StorageError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from ebmcore_sweep.search.definition import Sweep

_PICKLING = "CmaEsSampler"
_PREFIXES = ("cma:", "sepcma:", "cmawm:")
_PURPOSE = "optuna optimizer"
_AHEAD = 1000  # how much further than the trials a sequence may be
_OTHERS = "TPESampler, GPSampler or NSGAIISampler"


def refuse_foreign(sweep: Sweep) -> None:
    """Raise EbmError when a sweep that another user began uses a sampler that pickles."""
    if sweep.sampler["type"] == _PICKLING:
        raise EbmError(
            f"the sweep {sweep.name!r:.80} uses {_PICKLING}, whose state in the database is a "
            "pickle, which is code; only the user who began the sweep can work at it. For one that "
            f"is shared, take {_OTHERS}"
        )


def refuse_foreign_state(sweep: Sweep, trials: Iterable[FrozenTrial]) -> None:
    """Raise StorageError when a study that goes on holds a pickle that is not this user's."""
    if sweep.sampler["type"] == _PICKLING:
        for trial in trials:
            for prefix in _PREFIXES:
                _holds_pickle(trial, prefix)


def _holds_pickle(trial: FrozenTrial, prefix: str) -> bool:
    """Say whether a trial holds an optimizer. Raises StorageError when it is not this user's."""
    start = f"{prefix}optimizer"
    pieces = {key: piece for key, piece in trial.system_attrs.items() if key.startswith(start)}
    if not pieces:
        return False
    inner = [pieces.get(f"{start}:{i}") for i in range(len(pieces))]
    text = "".join(piece for piece in inner if isinstance(piece, str))
    mine = is_signed(trial.system_attrs.get(f"{prefix}seal"), _PURPOSE, text)
    if not mine or not all(isinstance(piece, str) for piece in inner):
        raise StorageError(
            f"trial {trial.number} holds a pickle of {_PICKLING} that your installation did not "
            f"make, and pickles are code; begin it anew under another `name`, or with {_OTHERS}"
        )
    return True


def with_checked_state(target: type[Any]) -> type[Any]:
    """Return the class that stands for a sampler of Optuna's."""
    if target.__name__ == _PICKLING:
        return _sealed(target)
    if target.__name__ == "QMCSampler":
        return _bounded(target)
    return target


def _sealed(target: type[Any]) -> type[Any]:
    _need(target, "_split_optimizer_str", "_restore_optimizer")
    if sign(_PURPOSE, "") is None:
        raise EbmError(
            f"{_PICKLING} keeps pickles in the database, under a key of yours in "
            f"{config_folder()}, which can't be made; set EBMCORE_CONFIG_DIR to a folder of yours, "
            f"or take {_OTHERS}"
        )

    class CmaEsSampler(target):  # type: ignore[misc]
        """Optuna's, which opens only pickles that this user's installation made."""

        def _split_optimizer_str(self, optimizer_str: str) -> dict[str, str]:
            pieces: dict[str, str] = super()._split_optimizer_str(optimizer_str)
            return {**pieces, f"{self._attr_prefix}seal": str(sign(_PURPOSE, optimizer_str))}

        def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
            for trial in reversed(completed_trials):
                if _holds_pickle(trial, self._attr_prefix):
                    return super()._restore_optimizer([trial])
            return None

    return CmaEsSampler


def _bounded(target: type[Any]) -> type[Any]:
    _need(target, "_find_sample_id")

    class QMCSampler(target):  # type: ignore[misc]
        """Optuna's, which counts no further than there are trials."""

        def _find_sample_id(self, study: Any, search_space: Any) -> int:
            found = super()._find_sample_id(study, search_space)
            most = len(study.get_trials(deepcopy=False)) + _AHEAD
            if not isinstance(found, int) or not 0 <= found <= most:
                raise StorageError(f"the study's sequence is at {found!r:.40}; begin it anew")
            return found

    return QMCSampler


def _need(target: type[Any], *names: str) -> None:
    """Raise PluginError when this Optuna keeps its state in a way that isn't known here."""
    if missing := [name for name in names if not callable(getattr(target, name, None))]:
        raise PluginError(
            f"{target.__name__} of this Optuna lacks {missing[0]}, so its state can't be checked; "
            "install optuna 5, or take another sampler"
        )
