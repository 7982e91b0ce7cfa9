import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.report.content import (
    Audit,
    AuditIssue,
    AugmentationUse,
    Confusion,
    Fact,
    Mistake,
    ReportContent,
    ReportFigure,
    Table,
    thumbnail,
)
from autodl.report.from_run import content_from_run
from autodl.report.html import ISSUES_SHOWN, MISTAKES_SHOWN, render, write_report

VOID = {"meta", "img", "wbr", "br", "link", "input", "hr"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Checks nesting, collects tags, ids, text by tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.faults: list[str] = []
        self.feed(page)
        self.close()
        self.faults += [f"never closed: {tag}" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"{tag} closed at {self.getpos()}")

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def picture(seed: int) -> bytes:
    return thumbnail(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def content(make_run) -> ReportContent:
    run = make_run()
    classes = ("cat", "dog", "owl")
    mistakes = [Mistake(picture(i), "cat", "dog", 0.99 - 0.01 * i, f"cat/{i}.jpg") for i in range(15)]
    issues = [AuditIssue(f"dog/{i}.jpg", "exif_rotated", "converted") for i in range(ISSUES_SHOWN + 7)]
    issues.append(AuditIssue("owl/broken.jpg", "truncated", "skipped", "ends early"))
    return replace(
        content_from_run(run, title="Animals"),
        notes=("1 file was skipped.",),
        confusion=Confusion(classes, ((8, 2, 0), (1, 9, 0), (0, 0, 0)), "20 images"),
        mistakes=tuple(mistakes),
        mistakes_total=40,
        augmentation=AugmentationUse(
            "The policy won.",
            Table(("augmentation", "accuracy"), (("fast_aa", 0.9), ("standard", 0.8))),
            {"Rotate": 0.75, "Invert": 0.25},
            picture(20),
            "before and after",
            '{"kind": "Policy"}',
        ),
        audit=Audit((Fact("Files", "48"),), tuple(issues), {"cat": 10, "dog": 10, "owl": 5}),
        reload_code='ImageClassification.load("animals.autodl")',
    )


def test_well_formed_and_complete(content):
    page = Page(render(content))
    assert page.faults == []
    for words in (
        "Animals",
        "Learning curves",
        "Confusion matrix",
        "Most confident mistakes",
        "What mattered",
        "1 file was skipped.",
        "15 of 40 mistakes",
        "The policy won.",
        "What the policy does",
        "EXIF rotated: 47 files",
        "and 7 more files",
        "Truncated: 1 file skipped",
        "TrialError: the loss is NaN",
        'ImageClassification.load("animals.autodl")',
        "3 more mistakes",
        "torch",
    ):
        assert words in page.text, words
    assert len(page.all("img")) == 15 + 1
    assert page.text.index("Truncated") < page.text.index("EXIF rotated")  # what was lost comes first


def test_opens_offline(content):
    page = render(content)
    assert re.findall(r"https?://|//\w+\.\w|@import|<script|<link", page) == []
    assert all(attrs["src"].startswith("data:image/") for attrs in Page(page).all("img"))
    assert "default-src 'none'" in page


def test_every_picture_has_words_and_every_id_is_one_of_a_kind(content):
    page = Page(render(content))
    assert all(attrs["alt"] for attrs in page.all("img"))
    plots = [a for a in page.all("div") if a.get("role") == "img"]
    assert len(plots) == len(page.all("svg")) == 2 * len(content.figures) > 0
    assert all(attrs["aria-label"] for attrs in plots)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs["href"][1:] for attrs in page.all("a")}
    assert targets <= set(ids)
    uses = {attrs["href"][1:] for attrs in page.all("use")}
    assert uses
    assert uses <= set(ids)


def test_figures_take_their_colours_from_the_page(content):
    page = render(content)
    body = page[page.index("<body>") :]
    assert "var(--good)" in body
    assert "#1f66ad" not in body
    assert "DejaVu" not in body


def test_names_from_data_are_never_markup(run):
    for trial in run.trials:
        trial.config[EVIL] = f"{trial.trial_id} {EVIL}"
        trial.worker = EVIL
        trial.error = EVIL
    evil = replace(
        content_from_run(run, title=EVIL, subtitle=EVIL),
        facts=(Fact(EVIL, EVIL, EVIL),),
        notes=(EVIL,),
        confusion=Confusion((EVIL, "b"), ((1, 1), (1, 1)), EVIL),
        mistakes=(Mistake(picture(0), EVIL, EVIL, 0.9, EVIL),),
        augmentation=AugmentationUse(EVIL, Table((EVIL,), ((EVIL,),)), {EVIL: 1.0}, picture(1), EVIL, EVIL),
        audit=Audit((), (AuditIssue(EVIL, EVIL, EVIL, EVIL),), {EVIL: 3}),
        config_note=EVIL,
        reload_code=EVIL,
        versions={EVIL: EVIL},
        created=EVIL,
    )
    page = Page(render(evil))
    assert page.faults == []
    assert page.all("script") == []
    assert len(page.all("img")) == 2
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert EVIL in page.text


def test_the_matrix_counts_and_shares(content):
    page = render(content)
    table = page[page.index('<table class="matrix">') :]
    table = table[: table.index("</table>")]
    assert re.findall(r'class="(right|wrong)( deep)?" style="--s: ([\d.]+)">(\d+)<', table) == [
        ("right", " deep", "0.800", "8"),
        ("wrong", "", "0.200", "2"),
        ("wrong", "", "0.100", "1"),
        ("right", " deep", "0.900", "9"),
    ]
    assert re.findall(r'class="recall">([^<]*)<', table)[1:] == ["80\u00a0%", "90\u00a0%", "none"]


def test_many_classes_become_a_list_of_confusions():
    size = 60
    counts = np.eye(size, dtype=int) * 10
    counts[3, 7] = 6
    names = tuple(f"class {i}" for i in range(size))
    page = Page(render(ReportContent("x", confusion=Confusion(names, tuple(map(tuple, counts.tolist()))))))
    assert "60 classes" in page.text
    assert "class 3 class 7 6 38 %" in page.text
    assert "class 4" not in page.text
    assert not any("matrix" in (attrs.get("class") or "") for attrs in page.all("table"))


def test_a_report_of_nothing_has_no_sections():
    page = Page(render(ReportContent(title="Empty")))
    assert page.faults == []
    assert page.all("section") == []


def test_clean_data_is_said_to_be_clean():
    page = Page(render(ReportContent(title="x", audit=Audit(class_counts={"a": 0, "b": 0}))))
    assert "Every file could be read as it is." in page.text


def test_numbers_of_a_column_line_up():
    table = Table(("trial", "accuracy", "lr"), ((0, 0.95, 1e-4), (1, 0.9, 0.1), (2, None, 0.01)))
    page = render(ReportContent("x", leaderboard=table))
    assert re.findall(r'<td class="number">([^<]*)</td>', page) == [
        *("0", "0.9500", "0.0001"),
        *("1", "0.9000", "0.1"),
        *("2", "", "0.01"),
    ]


def test_only_the_first_mistakes_are_in_plain_sight(content):
    page = render(content)
    assert page[: page.index('<details class="more">')].count("<img") == MISTAKES_SHOWN


def test_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "report.html"
    assert write_report(ReportContent("First"), path) == path
    broken = ReportContent("Second", mistakes=(Mistake(b"GIF89a", "a", "b", 0.5),))
    with pytest.raises(OptionError, match="PNG or JPEG"):
        write_report(broken, path)
    assert "First" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(OptionError, match="folder"):
        write_report(ReportContent("x"), tmp_path)


def test_a_failed_write_leaves_no_rubbish(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("autodl.report.html.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(ReportContent("x"), tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


def test_names_outside_unicode_can_be_written(tmp_path):
    """File names that are not valid UTF-8 reach Python as lone surrogates."""
    content = ReportContent("x", audit=Audit((), (AuditIssue("caf\udce9.jpg", "tiny", "kept"),)))
    assert "caf" in write_report(content, tmp_path / "r.html").read_text(encoding="utf-8")


def test_svg_is_taken_as_it_is_and_text_is_not():
    figure = ReportFigure("T", "A < B", "<svg><g></g></svg>")
    page = render(ReportContent("x", figures=(figure,)))
    assert "<svg><g></g></svg>" in page
    assert 'aria-label="A &lt; B"' in page
