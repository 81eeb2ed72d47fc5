"""A chart of Cartesian spacetime in which curves stay smooth from pure noise to data."""

import torch
from torch import Tensor

from spacetime_tps.geometry.families import Cartesian


class PosteriorChart(Cartesian):
    """`Cartesian` in the chart (m, log q): mean and log precision of the denoising distribution that standard normal data would have.

    q = 1 + SNR and m = SNR x_t / (alpha q): where noise rules these are eta, up to factors, and where the data do (x_t/alpha, log_snr).
    Out of pure noise a geodesic runs straight in eta, while log_snr and x_t change without limit in next to no length: a spline in
    (x_t, log_snr) needs hundreds of nodes for that, one in this chart sixteen. Meant for data of unit size, within a factor of ten.
    """

    def chart(self, eta: Tensor) -> Tensor:
        """(m, log q) (..., D+1) of eta (..., D+1)."""
        q = 1.0 - 2.0 * eta[..., -1:]
        return torch.cat([eta[..., :-1] / q, q.log()], dim=-1)

    def from_chart(self, z: Tensor) -> Tensor:
        """The inverse of `chart`; SNR > 0 wherever log q > 0."""
        return torch.cat([z[..., :-1] * z[..., -1:].exp(), -0.5 * torch.expm1(z[..., -1:])], dim=-1)
