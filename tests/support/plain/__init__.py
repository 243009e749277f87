"""A plain site, as a project would have it, for any server: what tests start where they need nothing special."""
