"""The hook of this distribution, which offers its callbacks to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_callbacks() -> dict[str, str]:
    """Offer all callbacks."""
    return {
        "early_stopping": "ebmcore_callbacks.early_stopping:EarlyStopping",
        "notify": "ebmcore_callbacks.notify:Notify",
        "stop_file": "ebmcore_callbacks.stop_file:StopFile",
    }
