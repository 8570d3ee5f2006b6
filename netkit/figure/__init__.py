"""Figures: a topology laid out (:mod:`layout`, pure), painted by matplotlib (:mod:`paint`), and what leaves as a file (:mod:`draw`).

A topology is reduced to what is asked for (:mod:`netkit.network.select`), each node to its plan (:mod:`contents`, :mod:`nets`, values in
:mod:`plan`), each plan to boxes and bars with places (:mod:`node`, :mod:`arrange`) on a sheet (:mod:`picture`);
:mod:`style` says how shapes look, :mod:`paint` how wide texts are.
"""
