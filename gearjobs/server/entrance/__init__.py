"""Who gets in: sockets, accepting, limits, TLS, secrets, and what each peer may ask.

Once a peer is in, its packets go through `gatekeeper`, which asks the pure rules of `core/access`.
"""
