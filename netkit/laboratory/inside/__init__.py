"""What runs inside the lab: its first process, the hosts' first processes, their agents.

Standard library only, and as little of it as can be: these modules are imported afresh for every
lab, and their import is part of the time a learner waits.
"""
