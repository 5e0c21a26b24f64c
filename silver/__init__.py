"""In: ``bronze.records``. Out: every market event exactly once, and the rejects."""
