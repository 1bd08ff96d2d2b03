"""Logs out of PyG's data sets, whose own `process` reads small files of the publishers' formats."""

import pytest

from resemb_gnn import InputError
from resemb_gnn.datasets import load_source, read_movielens, read_taobao

RATINGS = [(1, 5, 5, 978300760), (1, 1, 3, 978302109), (2, 2, 4, 978301968), (2, 1, 4, 978301968)]


def write_1m(root):
    (root / "raw").mkdir()
    films = [
        "1::Toy Story (1995)::Animation|Children's|Comedy",
        "2::Jumanji (1995)::Adventure|Comedy",
        "5::Misérables, Les (1995)::Drama|Adventure",
        "7::Heat (1995)::Action|Comedy",
    ]
    (root / "raw" / "movies.dat").write_bytes("\n".join([*films, ""]).encode("latin-1"))
    (root / "raw" / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    lines = ["::".join(map(str, row)) for row in RATINGS]
    (root / "raw" / "ratings.dat").write_text("\n".join([*lines, ""]))


def write_100k(root):
    (root / "raw").mkdir()
    films = [(1, "Toy Story", 3), (2, "GoldenEye", 1), (5, "Copycat", 8)]
    lines = []
    for number, title, genre in films:
        flags = [int(place == genre) for place in range(19)]
        lines.append(
            f"{number}|{title} (1995)|01-Jan-1995||http://us.imdb.com|" + "|".join(map(str, flags))
        )
    (root / "raw" / "u.item").write_text("\n".join([*lines, ""]))
    (root / "raw" / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    tabbed = ["\t".join(map(str, row)) + "\n" for row in RATINGS]
    (root / "raw" / "u1.base").write_text("".join(tabbed))
    (root / "raw" / "u1.test").write_text("2\t5\t1\t978301969\n")


@pytest.mark.parametrize(("version", "fill"), [("1m", write_1m), ("100k", write_100k)])
def test_movielens(tmp_path, version, fill):
    fill(tmp_path)
    log = read_movielens(tmp_path, version)
    # PyG numbers users and films in the order of their files.
    # The second user's ratings are of one second, and so in an order that is drawn.
    assert log.items.tolist() == [2, 0, 0, 1]
    assert log.ptr.tolist() == [0, 2, 4]
    seconds = [978300760, 978302109, 978301968, 978301968]
    assert log.times.tolist() == [1_000_000 * time for time in seconds]
    assert log.labels.tolist() == [1, 0, 1, 1]
    assert read_movielens(tmp_path, version, positive_rating=5).labels.tolist() == [1, 0, 0, 0]
    assert read_movielens(tmp_path, version, positive_rating=None).labels is None
    users = log.features.users.decode().to_dict(as_series=False)
    if version == "1m":
        assert users == {"gender": ["F", "M"], "age": [1, 56], "occupation": [10, 16]}
        # Action, Adventure, Animation, Children's, Comedy and Drama, in this order.
        genres = [[2, 3, 4], [1, 4], [1, 5]]
    else:
        assert users == {
            "age": [24, 53],
            "gender": ["M", "F"],
            "occupation": ["technician", "other"],
        }
        genres = [[2], [0], [7]]  # of the 18 from Action on; the file has "unknown" before it
    assert log.features.items.decode()["genres"].to_list() == genres
    assert log.features.users.features["age"].kind == "numeric"
    source = load_source(f"movielens-{version}:{tmp_path}")
    assert source.name == f"movielens-{version}"
    assert source.log.labels.tolist() == log.labels.tolist()


def test_movielens_category_is_the_main_genre(tmp_path):
    write_1m(tmp_path)
    log = read_movielens(tmp_path)
    # Comedy has three of four films and Adventure two, which is not fewer than half. Columns by
    # the alphabet: Action, Adventure, Animation, Children's, Comedy, Drama.
    assert [log.category_ids[n] for n in log.item_category.tolist()] == [2, None, 5]


def test_times_of_another_unit(tmp_path):
    write_1m(tmp_path)
    ratings = tmp_path / "raw" / "ratings.dat"
    ratings.write_text(ratings.read_text().replace("978300760", "978300760000"))
    with pytest.raises(
        InputError, match=rf"{tmp_path}/raw, column 'time', row 0 .* not a time in s"
    ):
        read_movielens(tmp_path)


def test_taobao(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "UserBehavior.csv").write_text(
        "1,2268318,2520377,pv,1511544070\n"
        "1,2333346,2520771,buy,1511561733\n"
        "7,2268318,2520377,pv,1511539200\n"
        "7,2576651,149192,pv,1511572885\n"
        "7,2576651,149192,pv,1511572885\n"  # PyG drops repetitions
        "1,9,9,pv,1411572885\n"  # and what is out of the nine days
    )
    log = read_taobao(tmp_path)
    assert log.ptr.tolist() == [0, 1, 3]
    assert [log.item_ids[item] for item in log.items.tolist()] == [0, 0, 2]
    assert log.times.tolist() == [1511544070000000, 1511539200000000, 1511572885000000]
    assert [log.category_ids[n] for n in log.item_category.tolist()] == [1, 0]
    both = read_taobao(tmp_path, ("view", "buy"))
    assert both.items.tolist() == [0, 1, 0, 2]
    assert load_source(f"taobao:{tmp_path}").log.num_behaviors == 3
    with pytest.raises(InputError, match="behaviour 'pv' is unknown; choose from view, cart"):
        read_taobao(tmp_path, ("pv",))


def test_unreadable_files_and_unknown_version_are_refused(tmp_path):
    write_1m(tmp_path)
    (tmp_path / "raw" / "ratings.dat").write_text("1::99::5::978300760\n")  # no such film
    with pytest.raises(InputError, match=r"PyG's MovieLens1M cannot read .*raw"):
        read_movielens(tmp_path)
    with pytest.raises(InputError, match="version='20m' is unknown; choose from 100k, 1m"):
        read_movielens(tmp_path, "20m")
