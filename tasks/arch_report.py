"""The report's section on the architecture: a picture of it, the search's course, accuracy against cost."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from autodl.nas.draw import draw
from autodl.nas.space_factory import SpaceFactory
from autodl.nas.spaces.registry import space_from_json
from autodl.report import ArchitectureUse, Fact
from autodl.report.plot_style import FAINT, GOOD, INK, WIDE, legend, looks_logarithmic, new_figure
from autodl.tasks.arch_record import ArchRecord, ArchStep
from autodl.tasks.open_network import CHANNELS, as_factory, is_published

if TYPE_CHECKING:
    from autodl.tasks.image_classifier import ImageClassifier

DPI = 130


def content(classifier: ImageClassifier) -> ArchitectureUse | None:
    """The section for a fitted classifier; None where no architecture was searched."""
    record = classifier.architecture_
    if record is None:
        return None
    return ArchitectureUse(
        note=f"{record.words()[:1].upper()}{record.words()[1:]}. Every trial trained it from scratch.",
        facts=_facts(record),
        picture=_picture(classifier, record),
        picture_alt="The architecture as a picture",
        course=_png(course(record)) if any(step.metric is not None for step in record.steps) else b"",
        front=_png(front(record)) if record.front else b"",
        front_title=f"Accuracy and {record.cost_name}",
        arch=record.arch,
    )


def _facts(record: ArchRecord) -> tuple[Fact, ...]:
    facts = [
        Fact("Parameters", f"{record.parameters:,}"),
        Fact("Architectures of the space", f"{record.size:.3g}"),
    ]
    if record.cost is not None:
        aimed = "" if record.target is None else f"aimed at {record.target:,.4g}"
        facts.append(Fact(str(record.cost_name), f"{record.cost:,.4g}", aimed))
    if record.metric is not None:
        facts.append(Fact("Accuracy in the search", f"{record.metric:.4f}", "as the strategy measures it"))
    return tuple(facts)


def _picture(classifier: ImageClassifier, record: ArchRecord) -> bytes:
    factory = _factory(classifier)
    if factory is None:
        return b""
    data = classifier.data_
    side = int(data.facts["input_size"])
    space = factory.space(num_classes=data.num_classes, channels=CHANNELS, side=side)
    return _png(draw(space, record.arch))


def _factory(classifier: ImageClassifier) -> SpaceFactory | None:
    """The space that was searched: as its networks name it, else as the caller gave it."""
    for member in classifier.selection_.members:
        if is_published(member.network):
            return space_from_json(member.network.options["space"])
    return None if classifier.net is None else as_factory(classifier.net, searched=True)


def course(record: ArchRecord) -> Figure:
    """What the search measured over time; the best so far as a line."""
    figure, (ax,) = new_figure(WIDE, 2.6)
    judged = [(step.seconds, step.metric) for step in record.steps if step.metric is not None]
    seconds, metrics = [s for s, _ in judged], [m for _, m in judged]
    best = [max(metrics[: i + 1]) for i in range(len(metrics))]
    ax.plot(seconds, metrics, "o", color=FAINT, ms=4, label="architectures")
    ax.step(seconds, best, where="post", color=GOOD, label="best so far")
    ax.set(xlabel="seconds of the search", ylabel="accuracy")
    legend(ax)
    return figure


def front(record: ArchRecord) -> Figure:
    """Architectures by accuracy and cost; those that none beats in both are joined."""
    figure, (ax,) = new_figure(WIDE, 2.8)
    judged = _points(record.steps)
    costs = [cost for cost, _ in judged]
    ax.plot(costs, [metric for _, metric in judged], "o", color=FAINT, ms=4, label="beaten")
    best = _points(record.front)
    ax.plot(
        [cost for cost, _ in best],
        [metric for _, metric in best],
        "o-",
        color=GOOD,
        ms=5,
        label="Pareto front",
    )
    if record.target is not None:
        ax.axvline(record.target, color=INK, lw=0.8, ls=":", label="target")
    if looks_logarithmic(costs):
        ax.set_xscale("log")
    ax.set(xlabel=record.cost_name, ylabel="accuracy in the search")
    legend(ax)
    return figure


def _points(steps: Iterable[ArchStep]) -> list[tuple[float, float]]:
    return [(s.cost, s.metric) for s in steps if s.cost is not None and s.metric is not None]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
