"""What runs on a machine to hear of changes to its network: the standard library alone, and nothing is changed.

It says *that* something has changed, never what: whoever listens looks for himself, so that events
which are lost, or come in the wrong order, do no harm.
"""
