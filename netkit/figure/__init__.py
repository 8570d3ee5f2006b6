"""Figures: a topology laid out (:mod:`layout`, pure) and painted by matplotlib (:mod:`draw`).

A topology is reduced to what is asked for (:mod:`choose`), each node to its plan (:mod:`scene`, :mod:`nets`, values in
:mod:`plan`), each plan to boxes and bars with places (:mod:`node`, :mod:`arrange`) on a sheet (:mod:`picture`);
:mod:`style` says how shapes look, :mod:`fonts` how wide texts are, :mod:`paint` makes matplotlib's artists.
"""
