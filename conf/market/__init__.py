"""What the domain knows, without I/O and without a clock."""
