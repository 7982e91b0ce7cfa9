"""CSV and parquet files and DataFrames: which column is what, and what if none is."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from autodl.data import decode, read_images
from autodl.errors import DataError, DataNotFoundError, EmptyDataError, LabelError
from tests.data import made


@pytest.fixture
def folder(tmp_path):
    for index in range(4):
        made.write(tmp_path / "images" / f"{index}.png", seed=index)
    return tmp_path


def csv(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


ROWS = "images/0.png,cat\nimages/1.png,dog\n"


def test_paths_are_relative_to_the_csv_wherever_one_stands(folder, monkeypatch, tmp_path_factory):
    path = csv(folder, "image,label\n" + ROWS)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    table = read_images(path)
    assert table.labels == ["cat", "dog"]
    assert table.names == ["images/0.png", "images/1.png"]
    np.testing.assert_array_equal(decode(table.items[1].source).pixels, made.picture(seed=1))
    relative = os.path.relpath(path)
    assert read_images(relative).labels == ["cat", "dog"]


@pytest.mark.parametrize(
    "text",
    [
        "path,species\n" + ROWS,
        "Filename;Class\n" + ROWS.replace(",", ";"),
        "file_name\ttarget\n" + ROWS.replace(",", "\t"),
        "where,what\n" + ROWS,  # by content, and as the other one
        ROWS,  # no header
        "\ufefffile,label\n" + ROWS,
        '"file","label"\r\n"images/0.png","cat"\r\n"images/1.png","dog"\r\n',
        "file,label\nimages\\0.png,cat\nimages\\1.png,dog\n",
    ],
)
def test_the_shapes_a_csv_comes_in(folder, text):
    table = read_images(csv(folder, text), labelled=True)
    assert table.labels == ["cat", "dog"]
    assert all(item.source.exists() for item in table.items)


def test_numbers_are_numbers_and_codes_stay_codes(folder):
    numbers = read_images(csv(folder, "file,label\nimages/0.png,3\nimages/1.png,10\n"))
    assert numbers.labels == [3, 10]
    codes = read_images(csv(folder, "file,label\nimages/0.png,03\nimages/1.png,10\n"))
    assert codes.labels == ["03", "10"]


def test_a_class_called_none_is_a_class_and_an_empty_cell_is_not(folder):
    table = read_images(csv(folder, "file,label\nimages/0.png,None\nimages/1.png,\nimages/2.png,NaN\n"))
    assert table.labels == ["None", None, None]


def test_numbers_with_gaps_stay_whole_numbers(folder):
    assert read_images(csv(folder, "file,label\nimages/0.png,3\nimages/1.png,\n")).labels == [3, None]


def test_a_split_column(folder):
    table = read_images(csv(folder, "file,label,split\nimages/0.png,a,train\nimages/1.png,b,Validation\n"))
    assert [item.split for item in table.items] == ["train", "val"]


def test_the_documented_order_of_label_columns(folder):
    frame = pd.DataFrame({"image": ["images/0.png"], "label_name": ["cat"], "label": [3], "y": [7]})
    frame["image"] = str(folder) + "/" + frame["image"]
    assert read_images(frame).labels == [3]
    assert read_images(frame, label="label_name").labels == ["cat"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "breed"}, r"no label column 'breed'; columns: file, a, b"),
        ({"labelled": True}, r"which column .* labels\? .*columns: file, a, b"),
        ({"labelled": None}, r"which column .* labels\?"),
    ],
)
def test_a_missing_label_column_lists_the_columns(folder, options, message):
    path = csv(folder, "file,a,b\nimages/0.png,1,2\n")
    with pytest.raises(LabelError, match=message):
        read_images(path, **options)


def test_for_prediction_no_label_column_is_needed(folder):
    path = csv(folder, "file,a,b\nimages/0.png,1,2\n")
    assert read_images(path, labelled=False).labels == [None]
    assert read_images(csv(folder, "file\nimages/0.png\n")).labels == [None]


def test_an_image_column_of_ids_gives_way_to_one_of_files(folder):
    table = read_images(csv(folder, "image,file,label\n17,images/0.png,cat\n18,images/1.png,dog\n"))
    assert table.items[0].source == folder / "images" / "0.png"


def test_two_columns_of_one_name():
    frame = pd.DataFrame([["a.png", "a", "b"]], columns=["image", "label", "label"])
    with pytest.raises(DataError, match="several columns of one name"):
        read_images(frame)


@pytest.mark.parametrize("options", [{"image": "nope"}, {}])
def test_a_missing_image_column_lists_the_columns(folder, options):
    with pytest.raises(DataError, match="columns: a, label"):
        read_images(csv(folder, "a,label\nx,y\n"), **options)


def test_when_no_file_exists_the_error_shows_where_it_looked(folder):
    with pytest.raises(DataNotFoundError, match=r"2 image files.*none exists.*wrong/0\.png first"):
        read_images(csv(folder, "file,label\nwrong/0.png,a\nwrong/1.png,b\n"))


@pytest.mark.parametrize(("content", "error"), [(b"", DataError), (b"file,label\n", EmptyDataError)])
def test_an_empty_csv(folder, content, error):
    (folder / "e.csv").write_bytes(content)
    with pytest.raises(error):
        read_images(folder / "e.csv")


def test_a_csv_in_another_encoding_says_so(folder):
    path = csv(folder, "file,label\nimages/0.png,Kätzchen\n", encoding="latin-1")
    with pytest.raises(DataError, match="UTF-8"):
        read_images(path)


def test_a_damaged_parquet_file(folder):
    (folder / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_images(folder / "a.parquet")


def test_parquet_with_bytes_and_names(folder):
    frame = pd.DataFrame(
        {
            "image": [made.encode(made.picture(seed=seed)) for seed in range(3)],
            "label": [0, 1, 0],
            "file": ["a.png", "b.png", "c.png"],
        }
    )
    frame.to_parquet(folder / "a.parquet")
    table = read_images(folder / "a.parquet")
    assert table.names == ["a.png", "b.png", "c.png"]
    np.testing.assert_array_equal(decode(table.items[2].source).pixels, made.picture(seed=2))


def test_hugging_face_parquet_cells(folder):
    cells = [{"bytes": made.encode(made.picture()), "path": "x.png"}, {"bytes": None, "path": "images/0.png"}]
    pd.DataFrame({"image": cells, "label": ["a", "b"]}).to_parquet(folder / "a.parquet")
    table = read_images(folder / "a.parquet")
    assert table.names == ["x.png", "images/0.png"]
    assert all(decode(item.source).size == (12, 16) for item in table.items)


def test_cells_of_any_kind():
    pixels = made.picture()
    cells = [pixels, Image.fromarray(pixels), made.encode(pixels)]
    table = read_images(pd.DataFrame({"photo": cells, "class": ["a", "b", "a"]}))
    for item in table.items:
        np.testing.assert_array_equal(decode(item.source).pixels, pixels)


def test_missing_images_are_rows_that_the_audit_reports():
    from autodl.data.scan import read_all

    frame = pd.DataFrame(
        {"image": [made.encode(made.picture()), None, float("nan"), 7], "label": list("aabb")}
    )
    report = read_all(read_images(frame), size=8)
    assert report.names("missing") == ["row 1", "row 2"]
    assert report.names("unreadable") == ["row 3"]


def test_nan_labels_are_missing_labels():
    frame = pd.DataFrame({"image": [made.encode(made.picture())] * 3, "label": [1.0, np.nan, 2.0]})
    assert read_images(frame).labels == [1.0, None, 2.0]


def test_column_names_that_are_no_text():
    frame = pd.DataFrame({0: ["a.png"], 1: ["cat"]})
    with pytest.raises(DataNotFoundError):
        read_images(frame)


def test_a_dict_of_columns():
    assert read_images({"image": [made.picture()], "label": ["a"]}).labels == ["a"]


@pytest.mark.parametrize(
    ("name", "count", "classes"),
    [
        ("flower_photos/test.parquet", 736, 5),
        ("hymenoptera/train.parquet", 244, 2),
        ("cifar10/test.parquet", 5000, 10),
    ],
)
def test_real_tables(name, count, classes):
    table = read_images(made.shared_file(name), labelled=True)
    assert len(table) == count and set(table.labels) == set(range(classes))
    assert decode(table.items[0].source).pixels.shape[2] == 3
