"""What an HTML report holds: plain, frozen data, so that anything can fill it and anything can draw it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from autodl.errors import OptionError
from autodl.report.svg import themed_svg
from autodl.trial import Value


@dataclass(frozen=True, slots=True)
class Fact:
    """A key figure: ``Fact("Validation accuracy", "0.941", "586 images")``."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; columns of numbers are set flush right.

    Attributes:
        columns: the names.
        rows: each as long as `columns`; the first is the best.
        left_out: rows that were cut, 0 for none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    left_out: int = 0

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise OptionError(f"row {number} has {len(row)} cells for {len(self.columns)} columns")


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A plot as SVG markup that takes its colours from the page.

    Attributes:
        title: the heading.
        alt: what the figure shows, in a sentence, for those who do not see it.
        svg: markup, trusted as it is: make it with `from_matplotlib`, never from data.
        narrow_svg: the same for phones, "" to scroll the wide one.
        caption: a remark below.
    """

    title: str
    alt: str
    svg: str
    narrow_svg: str = ""
    caption: str = ""

    @classmethod
    def from_matplotlib(
        cls, title: str, alt: str, figure: Figure, *, narrow: Figure | None = None, caption: str = ""
    ) -> ReportFigure:
        """Take a figure, and one of about 3.7 inches for phones, as they are."""
        narrow_svg = "" if narrow is None else themed_svg(narrow)
        return cls(title, alt, themed_svg(figure), narrow_svg, caption)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts by true class (row) and predicted class (column).

    Attributes:
        class_names: k names.
        counts: k rows of k.
        source: what was predicted: "586 validation images".
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    source: str = ""

    def __post_init__(self) -> None:
        size = len(self.class_names)
        if len(self.counts) != size or any(len(row) != size for row in self.counts):
            raise OptionError(f"a confusion matrix of {size} classes needs {size} rows of {size} counts")


@dataclass(frozen=True, slots=True)
class Mistake:
    """An image that was classified wrongly.

    Attributes:
        image: a small PNG or JPEG file; see `thumbnail`.
        true: the class it belongs to.
        predicted: the class it was taken for.
        confidence: probability given to `predicted`, in [0, 1].
        name: the file's name or another way to find it.
    """

    image: bytes
    true: str
    predicted: str
    confidence: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class AuditIssue:
    """Something about one file: ``AuditIssue("a.jpg", "truncated", "skipped", "ends at byte 120")``."""

    file: str
    kind: str
    action: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """What reading every file once has shown.

    Attributes:
        facts: key figures (files, kept, sizes).
        issues: one for each file and kind.
        class_counts: class name -> images kept.
    """

    facts: tuple[Fact, ...] = ()
    issues: tuple[AuditIssue, ...] = ()
    class_counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AugmentationUse:
    """How training images were augmented.

    Attributes:
        note: what was used, and why.
        arms: what was compared, best first; None: nothing was.
        op_weights: op -> share in [0, 1] of what the policy does, largest first.
        picture: images before and after, a PNG or JPEG file; b"" for none.
        picture_alt: what it shows, in a sentence.
        policy: the policy's document, to be used elsewhere; "" for none.
    """

    note: str
    arms: Table | None = None
    op_weights: Mapping[str, float] = field(default_factory=dict)
    picture: bytes = b""
    picture_alt: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class ArchitectureUse:
    """Which architecture was found, and how.

    Attributes:
        note: how it was found, a sentence or two.
        facts: key figures of it.
        picture: of the architecture, a PNG file; b"" for none.
        picture_alt: what it shows, in a sentence.
        course: of the search, a PNG file; b"" for none.
        front: accuracy against cost, a PNG file; b"" for none.
        front_title: "Accuracy and latency".
        arch: label -> choice.
    """

    note: str
    facts: tuple[Fact, ...] = ()
    picture: bytes = b""
    picture_alt: str = ""
    course: bytes = b""
    front: bytes = b""
    front_title: str = ""
    arch: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All of a report; what is left empty has no section.

    Attributes:
        title: "Flower photos".
        subtitle: a sentence below it.
        headline: the one number that matters.
        facts: more key figures.
        notes: what the reader must know first (warnings), a sentence each.
        leaderboard: trials, best first.
        failures: (trial, reason) of failed trials.
        figures: plots of the search.
        importances: label -> share in [0, 1], largest first.
        importance_note: how far to trust them.
        confusion: of the final predictor.
        mistakes: the most confident first.
        mistakes_total: how many there were in all, None if `mistakes` are all.
        architecture: of the networks, where it was searched.
        augmentation: of the training images.
        audit: of the data.
        best_config: label -> value.
        config_note: which trial it is, or what the ensemble is made of.
        reload_code: Python that loads and uses the predictor.
        versions: library -> version.
        created: when, and by what.
    """

    title: str
    subtitle: str = ""
    headline: Fact | None = None
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    leaderboard: Table | None = None
    failures: tuple[tuple[str, str], ...] = ()
    figures: tuple[ReportFigure, ...] = ()
    importances: Mapping[str, float] = field(default_factory=dict)
    importance_note: str = ""
    confusion: Confusion | None = None
    mistakes: tuple[Mistake, ...] = ()
    mistakes_total: int | None = None
    architecture: ArchitectureUse | None = None
    augmentation: AugmentationUse | None = None
    audit: Audit | None = None
    best_config: Mapping[str, Value] = field(default_factory=dict)
    config_note: str = ""
    reload_code: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""


def thumbnail(pixels: NDArray[np.uint8], size: int = 176) -> bytes:
    """A small picture for `Mistake.image`.

    Args:
        pixels: (h, w), (h, w, 1) or (h, w, 3), uint8.
        size: longer side in pixels; images less than half as large are enlarged by a whole factor, so
            that their pixels stay visible.

    Returns:
        A PNG file for small images, else a JPEG file.
    """
    picture = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    factor = size // max(picture.size)
    buffer = io.BytesIO()
    if factor >= 2:
        grown = (picture.width * factor, picture.height * factor)
        picture.resize(grown, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    else:
        picture.thumbnail((size, size))
        picture.convert("RGB").save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
