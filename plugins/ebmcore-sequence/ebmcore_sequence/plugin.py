"""The hooks of this distribution, which offer its energies to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the energies of sequences."""
    return {
        "gru": "ebmcore_sequence.recurrent:GRU",
        "lstm": "ebmcore_sequence.recurrent:LSTM",
        "transformer": "ebmcore_sequence.transformer:Transformer",
    }
