"""The config of a first run, without data of one's own: the README's, explained."""

FIRST = """\
# Five Gaussians in the plane, by persistent contrastive divergence, in about a minute.
#   ebmcore run {config}
# For data of your own: `ebmcore new CONFIG.yaml --data FILE`. `ebmcore show KIND` lists what could
# stand in each place, and `ebmcore show KIND NAME` its keys.
name: {name}
seed: 0 # all random numbers follow from it: the same seed gives the same run
data: {{type: gaussian_mixture, n: 12500, std: 0.3, holdout: 0.2}} # a fifth is held out
energy: {{type: mlp, hidden: [128, 128]}} # E(x), the model: p(x) is proportional to exp(-E(x))
sampler: {{type: langevin, step_size: 0.01, n_steps: 10}} # draws from p(x), 10 steps at a time
chains: {{type: persistent, size: 1000}} # where the sampler goes on in the next training step
loss:
  - {{type: contrastive_divergence}} # E falls at the data and rises at the samples
  - {{type: energy_magnitude, weight: 0.01}} # persistent chains oscillate; this damps them
optimizer: {{type: Adam, lr: 2.0e-3}}
train:
  epochs: 40
  batch_size: 128
  clip_grad_norm: 1.0
  ema: 0.998 # monitors and samples use averaged weights
monitors: # numbers and pictures, in the run's folder and in MLflow
  - {{type: energies, every: 1 epoch}}
  - {{type: landscape, every: 10 epochs}}
  - {{type: exact_likelihood, every: 5 epochs}} # the score to compare models by
  - {{type: histogram_2d, every: end}}
"""
