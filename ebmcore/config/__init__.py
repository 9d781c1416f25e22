"""A config: YAML and overrides -> a validated tree -> objects."""

from ebmcore.config.build import build, callback_events, loss_slots, required_slots
from ebmcore.config.cadence import AUTO, OWN, Cadence
from ebmcore.config.core_keys import clashes, reserved
from ebmcore.config.json_schema import config_schema
from ebmcore.config.metrics import Recorded, Wanted, declared_metrics
from ebmcore.config.model import Config, Node
from ebmcore.config.nested import nested
from ebmcore.config.networks import ENERGY, as_targets, choices, name_fault, trains_fault
from ebmcore.config.optimizers import description, keys_of, maker, needs_argument, of_torch
from ebmcore.config.sections import Loader, Tracking, Train
from ebmcore.config.source import (
    Source,
    apply_overrides,
    parse_assignments,
    parse_config,
    read_config,
)
from ebmcore.config.validate import (
    plugin_selection,
    read_loader,
    read_networks,
    read_node,
    read_nodes,
    read_trackers,
    read_train,
    read_transforms,
    validate,
)
from ebmcore.config.values.check import check as check_values
from ebmcore.config.values.names import type_name
from ebmcore.config.values.signature import (
    REQUIRED,
    Parameter,
    component_parameters,
    describe,
    parameters,
)

__all__ = [
    "AUTO",
    "ENERGY",
    "OWN",
    "REQUIRED",
    "Cadence",
    "Config",
    "Loader",
    "Node",
    "Parameter",
    "Recorded",
    "Source",
    "Tracking",
    "Train",
    "Wanted",
    "apply_overrides",
    "as_targets",
    "build",
    "callback_events",
    "check_values",
    "choices",
    "clashes",
    "component_parameters",
    "config_schema",
    "declared_metrics",
    "describe",
    "description",
    "keys_of",
    "loss_slots",
    "maker",
    "name_fault",
    "needs_argument",
    "nested",
    "of_torch",
    "parameters",
    "parse_assignments",
    "parse_config",
    "plugin_selection",
    "read_config",
    "read_loader",
    "read_networks",
    "read_node",
    "read_nodes",
    "read_trackers",
    "read_train",
    "read_transforms",
    "required_slots",
    "reserved",
    "trains_fault",
    "type_name",
    "validate",
]
