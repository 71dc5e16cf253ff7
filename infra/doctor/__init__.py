"""Is everything there that a deployment needs? Each check has an exact fix; nothing is changed."""
