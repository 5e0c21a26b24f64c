"""Teaches detect-secrets what an Alpaca key id looks like; it knows AWS's already."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class AlpacaKeyDetector(RegexBasedDetector):
    """Key ids start with PK (paper), AK (live) or CK (broker); AKIA is AWS's."""

    secret_type = "Alpaca key id"  # noqa: S105  # pragma: allowlist secret
    denylist = (re.compile(r"\b(?:PK|CK|AK(?!IA))[A-Z0-9]{18,24}\b"),)
