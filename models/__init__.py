"""The agent: environment, training, evaluation, registry, scoring."""
