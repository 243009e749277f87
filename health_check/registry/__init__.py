"""Which checks there are: the endpoints of a URLconf, and what their entries stand for."""
