"""A fit from start to end: every form of data, every mistake in it, every limit."""

from __future__ import annotations

import errno
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import autodl as ad
from autodl.errors import (
    AllTrialsFailedError,
    AutoDLError,
    BadImageError,
    DataError,
    DataNotFoundError,
    EmptyDataError,
    LabelError,
    OptionError,
    RunExistsError,
)
from autodl.tasks.image_fit import class_weights, look_at
from tests.tasks import made


def quick(**params):
    return made.quick(**{"net": made.linear(classes=2), "epochs": 6, **params})


def audit(classifier):
    """Name, kind and action of each issue."""
    return {(issue.name, issue.kind, issue.action) for issue in classifier.data_.audit.issues}


# ---------------------------------------------------------------------- forms of data


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder.parent))
    return path


def tarred(folder: Path) -> Path:
    path = folder.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


def nested(folder: Path) -> Path:
    outer = folder.parent / "outer"
    outer.mkdir()
    shutil.move(folder, outer / "inner")
    return outer


def csv(folder: Path) -> Path:
    path = folder.parent / "list.csv"
    files = sorted(folder.rglob("*.png"))
    rows = {
        "image": [str(f.relative_to(path.parent)) for f in files],
        "label": [f.parent.name for f in files],
    }
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def parquet_bytes(folder: Path) -> Path:
    files = sorted(folder.rglob("*.png"))
    frame = pd.DataFrame({"image": [f.read_bytes() for f in files], "label": [f.parent.name for f in files]})
    frame.to_parquet(folder.parent / "list.parquet")
    return folder.parent / "list.parquet"


def frame(folder: Path) -> pd.DataFrame:
    files = sorted(folder.rglob("*.png"))
    return pd.DataFrame({"image": [str(f) for f in files], "label": [f.parent.name for f in files]})


def pictures(folder: Path):
    files = sorted(folder.rglob("*.png"))
    return [Image.open(f) for f in files], [f.parent.name for f in files]


def torch_dataset(folder: Path):
    images, labels = pictures(folder)
    stack = torch.stack([torch.from_numpy(np.array(i)).permute(2, 0, 1) for i in images])
    return TensorDataset(stack, torch.tensor([int(label == "red") for label in labels]))


@pytest.mark.parametrize(
    "form",
    [str, Path, zipped, tarred, nested, csv, parquet_bytes, frame, pictures, torch_dataset],
    ids=lambda f: f.__name__,
)
def test_learns_from_every_form_of_data(tmp_path, form):
    folder = made.colour_folder(tmp_path / "colours", count=12)
    red, blue = made.patch("red", 99), made.patch("blue", 99)
    classifier = quick().fit(form(folder))
    predicted = classifier.predict([red, blue]).tolist()
    assert predicted == ([1, 0] if form is torch_dataset else ["red", "blue"])
    assert classifier.fit_summary()["images"] == 24


def test_a_train_and_a_val_part_are_kept_apart(tmp_path):
    root = tmp_path / "parts"
    made.colour_folder(root / "train", count=6)
    made.colour_folder(root / "val", count=3, first=40)
    made.colour_folder(root / "test", count=4, first=60)
    summary = quick().fit(root).fit_summary()
    assert (summary["images"], summary["images_held_out"], summary["validated_on"]) == (18, 6, 6)


def test_tuning_data_is_what_trials_are_compared_on(tmp_path):
    train, tune = made.colour_folder(tmp_path / "a"), made.colour_folder(tmp_path / "b", 5, first=40)
    classifier = quick().fit(train, tuning_data=tune)
    held_out = classifier.data_.validation_rows()
    assert [classifier.data_.names[i] for i in held_out] == [
        f"{c}/{i}.png" for c in ("blue", "red") for i in range(40, 45)
    ]


def test_tuning_data_must_be_labelled_with_known_classes(tmp_path):
    train = made.colour_folder(tmp_path / "a")
    other = made.colour_folder(tmp_path / "b", 2, classes=("blue", "green"))
    with pytest.raises(LabelError, match=r"in tuning_data, 2 of 4 images have 1 classes .*'green'"):
        quick().fit(train, tuning_data=other)
    files = sorted(train.rglob("*.png"))[:2]
    with pytest.raises(LabelError, match="tuning_data"):
        quick().fit(train, tuning_data=(files, ["blue", None]))
    broken = made.colour_folder(tmp_path / "c", 1)
    for file in broken.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(EmptyDataError, match="validate"):
        quick().fit(train, tuning_data=broken)


# ---------------------------------------------------------------------- mistakes in data


def test_a_missing_path(tmp_path):
    with pytest.raises(DataNotFoundError, match="nowhere"):
        quick().fit(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path):
    with pytest.raises(EmptyDataError, match="no image"):
        quick().fit(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(EmptyDataError, match="no image"):
        quick().fit(tmp_path)


def test_one_class(tmp_path):
    with pytest.raises(LabelError, match=r"at least 2 classes.*only one, 'red'"):
        quick().fit(made.colour_folder(tmp_path / "one", classes=("red",)))


def test_a_class_with_one_image(tmp_path):
    folder = made.colour_folder(tmp_path / "few")
    made.colour_folder(folder, count=1, classes=("green",))
    with pytest.raises(LabelError, match=r"at least 2 images.*'green' \(1\)"):
        quick(net=made.linear(classes=3)).fit(folder)


def test_a_class_with_one_readable_image(tmp_path):
    folder = made.colour_folder(tmp_path / "few")
    made.colour_folder(folder, count=3, classes=("green",))
    for i in (0, 1):
        (folder / f"green/{i}.png").write_bytes(b"")
    with pytest.raises(LabelError, match=r"at least 2 images.*'green' \(1\)"):
        quick(net=made.linear(classes=3)).fit(folder)


def test_a_class_without_a_readable_image(tmp_path):
    folder = made.colour_folder(tmp_path / "few")
    for file in (folder / "red").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(LabelError, match="at least 2 classes"):
        quick().fit(folder)


def test_two_images_a_class_are_enough(tmp_path):
    classifier = quick().fit(made.colour_folder(tmp_path / "tiny", count=2))
    assert classifier.fit_summary()["images_held_out"] == 2


def test_nothing_readable(tmp_path):
    folder = made.colour_folder(tmp_path / "bad")
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="none of the 16 images"):
        quick().fit(folder)


def test_strange_files_are_reported_and_lose_nothing(tmp_path):
    folder = made.colour_folder(tmp_path / "odd", count=10)
    red = folder / "red"
    image = Image.fromarray(made.patch("red", 50, side=32))
    (red / "empty.png").write_bytes(b"")
    (red / "text.jpg").write_text("hello")
    image.save(red / "whole.png")
    content = (red / "whole.png").read_bytes()
    (red / "cut.png").write_bytes(content[: len(content) // 3])
    Image.fromarray(made.patch("red", 51)).save(red / "jpeg.png", "JPEG")
    image.convert("CMYK").save(red / "cmyk.jpg")
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(red / "deep.png")
    image.convert("P").save(red / "palette.png")
    image.save(red / "moving.gif", save_all=True, append_images=[image.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(made.patch("red", 52, side=16)).save(red / "turned.jpg", exif=exif)
    Image.new("RGB", (1, 1), (220, 40, 30)).save(red / "pixel.png")
    Image.new("L", (20_000, 30), 99).save(red / "long.png")
    Image.fromarray(made.patch("red", 53)).save(red / "große Äpfel 日本.png")
    Image.fromarray(made.patch("red", 54)).save(red / f"{'x' * 240}.png")
    (red / "notes.txt").write_text("not an image")
    (red / "loop").symlink_to(folder, target_is_directory=True)
    classifier = quick().fit(folder)
    issues = audit(classifier)
    expected = [
        ("red/empty.png", "zero_byte", "skipped"),
        ("red/text.jpg", "unreadable", "skipped"),
        ("red/cut.png", "truncated", "skipped"),
        ("red/cmyk.jpg", "cmyk", "converted"),
        ("red/deep.png", "16_bit", "converted"),
        ("red/palette.png", "palette", "converted"),
        ("red/moving.gif", "animated", "converted"),
        ("red/turned.jpg", "exif_rotated", "converted"),
        ("red/jpeg.png", "wrong_extension", "kept"),
        ("red/pixel.png", "tiny", "kept"),
    ]
    assert set(expected) <= issues
    assert "red/long.png" in {name for name, _, _ in issues}
    summary = classifier.fit_summary()
    assert summary["images_skipped"] == 3
    assert summary["images"] == 20 + 11
    page = classifier.report(tmp_path / "report.html").read_text().replace("<wbr>", "")
    assert all(name in page for name in ("cut.png", "empty.png", "text.jpg", "moving.gif"))
    for name in ("große Äpfel 日本.png", f"{'x' * 240}.png"):
        assert classifier.predict(red / name) in ("red", "blue")


def test_on_bad_image_raise_names_the_file(tmp_path):
    folder = made.colour_folder(tmp_path / "bad")
    (folder / "red/3.png").write_bytes(b"")
    with pytest.raises(BadImageError, match=r"red/3\.png"):
        quick(on_bad_image="raise").fit(folder)


def test_a_missing_label_column_and_missing_labels(tmp_path):
    table = frame(made.colour_folder(tmp_path / "colours"))
    with pytest.raises(DataError, match="columns: image, label"):
        quick().fit(table, label="species")
    table.loc[3, "label"] = np.nan
    with pytest.raises(LabelError, match="1 of 16 images"):
        quick().fit(table)
    with pytest.raises(LabelError, match="no labels"):
        quick().fit(table["image"].tolist())
    with pytest.raises(LabelError, match="5 images but 4 labels"):
        quick().fit(np.zeros((5, 8, 8)), [0, 1, 0, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_arrays_with_nan(digits, bad):
    X = digits.X[:60].copy()
    X[5, 3] = bad
    classifier = made.quick().fit(X, digits.y[:60])
    assert audit(classifier) == {("row 5", "unreadable", "skipped")}


def test_a_read_only_data_folder_stays_as_it_is(tmp_path):
    folder = made.colour_folder(tmp_path / "colours")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    quick().fit(folder)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")} == before
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "params",
    [
        {"time_limit": 0},
        {"time_limit": -3},
        {"time_limit": "soon"},
        {"time_limit": "-5m"},
        {"time_limit": True},
        {"time_limit": float("nan")},
        {"num_trials": 0},
        {"num_trials": 1.5},
        {"num_trials": True},
        {"epochs": 0},
        {"batch_size": -1},
        {"num_workers": 0},
        {"num_workers": None},
        {"seed": -1},
        {"seed": 0.5},
        {"seed": None},
        {"presets": "ultra"},
        {"presets": ["fast"]},
        {"metric": "accurracy"},
        {"metric": 3},
        {"searcher": "magic"},
        {"searcher": 3},
        {"scheduler": "magic"},
        {"scheduler": 3},
        {"executor": "gpu"},
        {"class_weight": "even"},
        {"class_weight": {"pink": 2}},
        {"class_weight": {"red": -1}},
        {"class_weight": {"red": "much"}},
        {"on_bad_image": "ignore"},
        {"net": "resnet1"},
        {"net": 3},
        {"net": []},
        {"net": ["small_resnet", "resnet1"]},
        {"optimizer": "adamm"},
        {"optimizer": 3},
        {"augment": "flips"},
        {"augment": 3},
        {"input_size": 0},
        {"input_size": "big"},
        {"weights": "imagenet"},
        {"weights": 3},
        {"training": {"mixupp": 1}},
        {"training": {"mixup": -1}},
        {"training": {"mixup": "a lot"}},
        {"training": 3},
        {"validation": {"fraction": 1.5}},
        {"validation": {"folds": 0}},
        {"verbosity": "loud"},
        {"path": 3},
    ],
    ids=str,
)
def test_refuses_bad_arguments_before_it_searches(tmp_path, params):
    data = [made.patch(c, i) for i in range(6) for c in ("blue", "red")], ["blue", "red"] * 6
    started = []

    class Watch:
        def on_trial_start(self, trial):
            started.append(trial)

    run = tmp_path / "run"
    with pytest.raises(AutoDLError) as caught:
        quick(**{"path": run, **params}).fit(*data, callbacks=[Watch()])
    assert isinstance(caught.value, OptionError | AutoDLError)
    assert not isinstance(caught.value, AllTrialsFailedError)
    assert started == []
    quick(path=run).fit(*data)  # a start that failed leaves no run in the way


def test_a_path_that_holds_a_run(tmp_path, digits):
    run = tmp_path / "run"
    made.quick(path=run).fit(*digits.train)
    journal = (run / "journal.jsonl").read_bytes()
    with pytest.raises(RunExistsError, match=r"holds a run already.*resume"):
        made.quick(path=run).fit(*digits.train)
    assert (run / "journal.jsonl").read_bytes() == journal
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OptionError, match="is a file"):
        made.quick(path=tmp_path / "file").fit(*digits.train)
    with pytest.raises(AutoDLError):
        made.quick(path=tmp_path / "file" / "below").fit(*digits.train)


def test_home_is_expanded(tmp_path, digits, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made.quick(path="~/run").fit(*digits.train).save("~/model")
    assert {"run", "model"} <= {p.name for p in tmp_path.iterdir()}


def test_data_that_failed_can_be_mended_and_fitted_at_the_same_path(tmp_path):
    folder = made.colour_folder(tmp_path / "colours", classes=("red",))
    with pytest.raises(LabelError):
        quick(path=tmp_path / "run").fit(folder)
    made.colour_folder(folder, classes=("blue",))
    assert quick(path=tmp_path / "run").fit(folder).classes_.tolist() == ["blue", "red"]


# ---------------------------------------------------------------------- disks


def test_a_path_that_cannot_be_made(tmp_path, digits, monkeypatch):
    def denied(self, *_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(AutoDLError, match="Permission denied"):
        made.quick(path=tmp_path / "run").fit(*digits.train)


def test_a_disk_that_is_full_before_the_images_are_read(tmp_path, digits, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(AutoDLError, match=r"No space left.*MB are needed"):
        made.quick(path=tmp_path / "run").fit(*digits.train)


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_after_the_images_are_read(digits, monkeypatch):
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(AutoDLError, match="No space left on device"):
        made.quick().fit(*digits.train)


def test_a_disk_that_fills_up_while_a_trial_writes_its_weights(digits, monkeypatch):
    """The second trial cannot be written; the first one is what the caller gets."""
    from autodl.tasks import member

    save = member.save_weights
    monkeypatch.setattr(member, "save_weights", lambda s, p: full() if p.parent.name != "0" else save(s, p))
    classifier = made.quick(num_trials=3).fit(*digits.train)
    board = classifier.leaderboard().set_index("trial_id")
    assert [m["trial_id"] for m in classifier.fit_summary()["ensemble"]] == [0]
    assert board["error"].str.contains("No space left").sum() == 2
    monkeypatch.setattr(member, "save_weights", full)
    with pytest.raises(AllTrialsFailedError, match="No space left on device"):
        made.quick(num_trials=2).fit(*digits.train)


# ---------------------------------------------------------------------- trials that fail


def test_a_network_that_does_not_fit_the_data_says_how(digits):
    with pytest.raises(AutoDLError, match="10 classes"):
        made.quick(net=made.linear(classes=3)).fit(*digits.train)


def test_a_loss_that_is_not_finite_fails_the_trial(digits):
    with pytest.raises(AllTrialsFailedError, match=r"(?i)nan|finite"):
        made.quick(optimizer=ad.optim.SGD(lr=1e30), training={"clip_norm": None, "precision": "fp32"}).fit(
            *digits.train
        )


def test_a_metric_that_raises_shows_its_own_error(digits):
    def broken(y_true, probs):
        raise ZeroDivisionError("mine")

    with pytest.raises(AllTrialsFailedError, match="ZeroDivisionError: mine"):
        made.quick(metric=broken).fit(*digits.train)


def test_own_parts_are_used(digits):
    """A searcher, a scheduler, an executor, an augmentation, an optimizer and a metric of one's own."""
    asked, batches = [], []

    class Searcher:
        def suggest(self, trial_id):
            asked.append(trial_id)
            return {**self.space.default, "label_smoothing": 0.05}

        def observe(self, report):
            pass

        def bind(self, space, *, seed):
            self.space = space

    def augment(images, generator):
        batches.append(tuple(images.shape[1:]))
        return images.flip(3)

    def metric(y_true, probs):
        return -float(np.abs(probs[np.arange(len(y_true)), y_true] - 1).mean())

    classifier = made.quick(
        num_trials=4,  # the first ones are the plan's own
        searcher=Searcher(),
        executor=ad.SerialExecutor(),
        augment=augment,
        optimizer=ad.optim.Adam(lr=ad.Real(1e-3, 1e-2, log=True)),
        metric=metric,
    ).fit(*digits.train)
    assert asked and set(batches) == {(3, 8, 8)}
    board = classifier.leaderboard()
    assert board["metric"].between(-1, 0).all()
    assert 0.05 in board["label_smoothing"].tolist()
    assert "metric" in classifier.evaluate(*digits.test)


# ---------------------------------------------------------------------- time


def test_returns_a_usable_classifier_within_the_time_limit(digits):
    started = time.monotonic()
    classifier = made.quick(time_limit=4, num_trials=None, epochs=None).fit(*digits.train)
    assert time.monotonic() - started < 4 * 1.05 + 2
    assert classifier.fit_summary()["stopped_by"] == "time_limit"
    assert classifier.score(*digits.test) > 0.5


def test_a_limit_too_short_for_anything_says_so(digits):
    started = time.monotonic()
    with pytest.raises(AutoDLError, match="time limit"):
        made.quick(time_limit=0.001).fit(*digits.train)
    assert time.monotonic() - started < 3


# ---------------------------------------------------------------------- parts


def test_looks_at_sizes_and_colours(tmp_path):
    from autodl.data import read_images

    grey = read_images(np.random.default_rng(0).integers(0, 255, (9, 12, 12)), labelled=False)
    facts = look_at(grey)
    assert (facts.num_images, facts.side, facts.same_size, facts.grey) == (9, 12, 12, True)
    mixed = read_images([Image.new("RGB", (30, 50), "red"), Image.new("RGB", (40, 20), "red")])
    facts = look_at(mixed)
    assert (facts.side, facts.same_size, facts.grey) == (25, None, False)


def test_class_weights_even_out_what_is_rare():
    data = made.run_data([0] * 8 + [1] * 2, [0] * 10)
    assert class_weights(None, data) is None
    balanced = class_weights("balanced", data)
    assert balanced[1] / balanced[0] == pytest.approx(4)
    assert np.dot(balanced, [8, 2]) / 10 == pytest.approx(1)
    auto = class_weights("auto", data)
    assert auto[1] / auto[0] == pytest.approx(2)
    assert class_weights("auto", made.run_data([0, 0, 1, 1], [0] * 4)) is None
    given = class_weights({1: 3.0}, data)
    assert given[1] / given[0] == pytest.approx(3)


def test_class_weights_change_what_is_learnt():
    images = [made.patch("grey", i) for i in range(60)]
    labels = ["a"] * 50 + ["b"] * 10

    def mean_of_b(weight):
        fitted = quick(class_weight=weight, epochs=30, training={"precision": "fp32"}).fit(images, labels)
        return fitted.predict_proba(images)[:, 1].mean()

    assert mean_of_b({"b": 20.0}) > mean_of_b(None) + 0.15


def test_a_limit_too_short_for_workers_to_start_is_kept_without_them(digits, capsys):
    classifier = made.quick(time_limit=20, num_workers=2, verbosity=1).fit(*digits.train)
    assert "one worker, in this process" in capsys.readouterr().err
    assert set(classifier.leaderboard()["worker"]) == {"serial"}
