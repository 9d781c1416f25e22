"""Changes to a sweep's storage at random: to its JSON, its rows, its lines and its bytes."""

import json
import sqlite3
from contextlib import closing, suppress

ODD = [
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, 10**400, 0.5, -1e308, 1e-320, float("nan"),
    float("inf"), "", "x", "local", "\x1b[31m\r\n", "a\x00b", "../..", "/", "/etc/passwd", "~",
    "http://me:secret@127.0.0.1:9/", "sqlite:////tmp/owned.db", "x" * 100_000, "NaN", "Infinity",
    "COMPLETE", "RUNNING", "WAITING", "NOT_SET", "MAXIMIZE", "2999-01-01 00:00:00.000000",
    "0001-01-01 00:00:00.000000", "no date", [], [None], [[]], {}, {"type": "x"}, {"x": {}},
    ["COMPLETE"] * 3, {"type": "CmaEsSampler"}, {"type": "GridSampler", "search_space": {}},
    {"type": "QMCSampler"}, {"type": "SuccessiveHalvingPruner", "reduction_factor": 10**9},
    {"type": "int", "low": 0, "high": 10**18}, {"type": "float", "low": "a", "high": []},
]  # fmt: skip
TEXTS = ['{"a":', "[" * 20_000, '"\\ud800"', "1e999", "{}", "[]", "null", "-", '{"name": "x"}']


def odd(rng):
    return rng.choice(ODD)


def changed(value, rng):
    """Change plain data at one place: replace it, take it away, or double it."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.2:
        return odd(rng)
    places = list(value) if isinstance(value, dict) else range(len(value))
    place = rng.choice(places)
    if rng.random() < 0.15:
        del value[place]
    elif isinstance(value, dict) and rng.random() < 0.15:
        value[rng.choice(["x", "type", "plugins", "tracking.uri", "a.b.c", "\x1b[2J"])] = odd(rng)
    else:
        value[place] = changed(value[place], rng)
    return value


def changed_text(text, rng):
    """Change JSON, unless that has been done so that it is none any more."""
    try:
        return json.dumps(changed(json.loads(text), rng))
    except (ValueError, RecursionError):
        return rng.choice(TEXTS)


def change_rows(file, rng):
    """Change a value of a row, its JSON if it is some; or delete the row."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = [name for (name,) in found if name != "alembic_version"]
        table = rng.choice([*tables, "study_user_attributes", "study_user_attributes"])
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        numbers = [n for (n,) in database.execute(f"SELECT rowid FROM {table}")]
        if not numbers:
            return
        number, column = rng.choice(numbers), rng.choice(columns)
        if rng.random() < 0.1:
            database.execute(f"DELETE FROM {table} WHERE rowid = ?", (number,))
            return
        column = next((name for name in columns if name.endswith("_json")), column)
        new = odd(rng)
        if column.endswith("_json"):
            select = f"SELECT {column} FROM {table} WHERE rowid = ?"
            (text,) = database.execute(select, (number,)).fetchone()
            new = changed_text(text, rng) if rng.random() < 0.9 else rng.choice(TEXTS)
        elif isinstance(new, (list, dict)) or (isinstance(new, int) and abs(new) >= 2**63):
            new = rng.choice(TEXTS)
        with suppress(sqlite3.Error):  # what sqlite itself doesn't hold there
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, number))


def change_lines(file, rng):
    """Change a journal's line: its JSON, its place, or all of it."""
    lines = file.read_bytes().splitlines(keepends=True)
    at = rng.randrange(len(lines))
    how = rng.random()
    if how < 0.8:
        lines[at] = changed_text(lines[at].decode(), rng).encode() + b"\n"
    elif how < 0.85:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif how < 0.9:
        del lines[at]
    else:
        lines[at] = rng.choice(TEXTS).encode() + b"\n" * rng.randrange(2)
    file.write_bytes(b"".join(lines))


def change_bytes(file, rng):
    """Change some bytes, set a stretch to zero, or cut the file off."""
    data = bytearray(file.read_bytes())
    at = rng.randrange(len(data))
    how = rng.random()
    if how < 0.4:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif how < 0.8:
        length = min(rng.choice([16, 512, 4096]), len(data) - at)
        data[at : at + length] = bytes(length)
    else:
        del data[at:]
    file.write_bytes(bytes(data))
