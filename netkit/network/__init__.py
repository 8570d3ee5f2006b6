"""The network as it really is: captured from kernels and engines, compared, drawn, told."""
