"""How tables are defined, read and committed."""
