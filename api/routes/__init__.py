"""One router per subject; what an answer holds is in ``api/responses.py``."""
