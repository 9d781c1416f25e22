"""How well energies tell anomalies from normal points."""
