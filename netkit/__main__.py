"""``python -m netkit`` is the ``netkit`` command."""

from netkit.cli import main

main()
