"""The hooks of this distribution, which offer its monitor to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_monitors() -> dict[str, str]:
    """Offer the estimate of log Z."""
    return {"log_z": "ebmcore_estimators.monitor:LogZMonitor"}
