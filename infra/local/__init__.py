"""The whole pipeline on one machine: supervisor, smoke test, oracle, emulator."""
