"""A TCP proxy between the app and its stores, a process of its own: the network that faults disturb.

``python -m flashbench.services.proxy`` is that process. Of what is said over its links it knows nothing but the bytes.
"""
