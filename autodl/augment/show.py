"""Pictures of a policy: images before and after, and how often each op is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from autodl.augment.stages import check_images
from autodl.checks import check_whole
from autodl.errors import EmptyDataError, OptionError
from autodl.report.plot_style import GOOD, INK, MUTED, PAPER, WIDE, new_figure, plain, style
from autodl.rng import torch_generator

if TYPE_CHECKING:
    from autodl.augment.policy_base import BatchPolicy

MOST_IMAGES = 6
MOST_DRAWS = 12


def show_policy(policy: BatchPolicy, images: Tensor, seed: int = 0, *, draws: int = 5) -> Figure:
    """Each image before and after, and the ops' weights; see `BatchPolicy.show`.

    Raises:
        EmptyDataError: there are no images.
        OptionError: `draws` is not in 1..12.
    """
    batch = check_images(images)
    batch = (batch if batch.ndim == 4 else batch.unsqueeze(0))[:MOST_IMAGES].cpu()
    if len(batch) == 0:
        raise EmptyDataError("there is no image to show a policy on; give at least one")
    check_whole("draws", draws)
    if draws > MOST_DRAWS:
        raise OptionError(f"draws must be in 1..{MOST_DRAWS}, got {draws}")
    columns = _draw(policy, batch, seed, draws)
    lines = max(len(_lines(caption)) for _, captions in columns for caption in captions)
    weights = policy.op_weights()
    # Heights in inches: pictures as wide as their column with captions below, a title, the bars.
    row = WIDE / len(columns) * batch.shape[-2] / batch.shape[-1] + 0.1 + 0.12 * lines
    heights = [0.25 + row * len(batch), 0.6 + 0.17 * max(3, len(weights))]
    figure = Figure(figsize=(WIDE, sum(heights)), layout="constrained", facecolor=PAPER)
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    for part in parts:
        part.set_facecolor(PAPER)
    grid = parts[0].subplots(len(batch), len(columns), squeeze=False)
    for number, (images_, captions) in enumerate(columns):
        for ax, image, caption in zip(grid[:, number], images_, captions, strict=True):
            _picture(ax, image, caption)
    for number, title in ((0, "before"), (1, "after")):
        grid[0, number].set_title(title, color=MUTED, fontsize=9)
    _bars(parts[1].subplots(), weights)
    return figure


def show_weights(weights: dict[str, float], *, width: float = WIDE) -> Figure:
    """A bar for each op.

    Args:
        weights: share of each op, as `BatchPolicy.op_weights` gives them.
        width: of the figure in inches.
    """
    figure, (ax,) = new_figure(width, 0.6 + 0.17 * max(3, len(weights)))
    _bars(ax, weights)
    return figure


def _draw(policy: BatchPolicy, images: Tensor, seed: int, draws: int) -> list[tuple[Tensor, list[str]]]:
    """The columns: images as they are, then `draws` times changed, with captions."""
    generator = torch_generator(seed, "show")
    columns = [(images, [""] * len(images))]
    for _ in range(draws):
        stages = policy.draw(len(images), (images.shape[-2], images.shape[-1]), generator)
        captions = [caption or "unchanged" for caption in policy.captions(stages, len(images))]
        columns.append((policy.carry_out(images, stages), captions))
    return columns


def _picture(ax: Axes, image: Tensor, caption: str) -> None:
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    ax.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=255)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_xlabel("\n".join(plain(line, 22) for line in _lines(caption)), color=INK, fontsize=6.5, labelpad=2)


def _lines(caption: str) -> list[str]:
    """One op or chain a line, four lines at most."""
    lines = caption.replace(" + ", "\n").replace(", ", "\n").splitlines()
    return [*lines[:3], "…"] if len(lines) > 4 else lines


def _bars(ax: Axes, weights: dict[str, float]) -> None:
    style(ax)
    if not weights:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "This policy leaves images as they are.", ha="center", va="center", color=MUTED)
        return
    names, amounts = list(weights), list(weights.values())
    bars = ax.barh(range(len(names)), amounts, height=0.75, color=GOOD)
    ax.bar_label(bars, [f"{amount:.0%}" for amount in amounts], padding=3, color=MUTED, fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_ylim(max(3, len(names)) - 0.5, -0.5)  # the largest on top, bars of one height
    ax.grid(False)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.set_xlim(0.0, 1.12 * max(amounts))
    ax.set_title("share of all ops that are carried out", color=MUTED, fontsize=9, loc="left")
