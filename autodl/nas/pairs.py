"""Two paths out of many: drawn by their probabilities, compared, moved without moving the others.

Source: Cai, Zhu, Han, "ProxylessNAS", 2019, section 3.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two paths of a decision, drawn by their probabilities, and how they share them.

    Attributes:
        paths: (2,) positions, the active one first.
        shares: (2,) softmax over the two alphas, with gradients.
        mass: their joint probability among all paths.
    """

    paths: Tensor
    shares: Tensor
    mass: Tensor

    @classmethod
    def draw(cls, alpha: Tensor, generator: torch.Generator) -> Pair:
        """Draw two different paths, and the active one of them by its share."""
        probs = alpha.detach().softmax(0)
        # Never exactly 0, or there might be no second path to draw.
        paths = torch.multinomial(probs.cpu().clamp_min(1e-8), 2, generator=generator)
        active = torch.multinomial(alpha.detach().cpu()[paths].softmax(0), 1, generator=generator)
        paths = (paths if int(active) == 0 else paths.flip(0)).to(alpha.device)
        return cls(paths, alpha[paths].softmax(0), probs[paths].sum())

    def spread(self, into: Tensor, values: Tensor) -> Tensor:
        """`into`, (paths,), with the pair's entries in place of its own."""
        return into.detach().index_put((self.paths,), values)


def rescale_pair(alpha: Tensor, before: Tensor, paths: Tensor) -> None:
    """Shift two alphas together so that the sum of their exponentials is what it was.

    Then the probabilities of all other paths are untouched by an update of the pair.

    Args:
        alpha: (paths,), after the update; changed in place.
        before: (paths,), before it.
        paths: (2,) positions.
    """
    with torch.no_grad():
        alpha[paths] += before[paths].logsumexp(0) - alpha[paths].logsumexp(0)
