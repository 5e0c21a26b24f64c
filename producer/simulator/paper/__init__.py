"""The paper account: orders, positions and the account stream."""
