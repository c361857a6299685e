"""The tables of a photo library and how an older one becomes a newer one.

Everything is keyed by content: `photos` has one row per distinct picture (SHA-256 of the file's bytes), `files`
says where copies of it lie, `vectors` holds what a model made of it. A rename or a move changes `files` only.
Whatever is learned about a picture later (time, place, text in it, names) refers to `photos.id` in the same way.
"""

import json
import re
import sqlite3

from isthmus.photos.said import folded

APPLICATION_ID = 0x69737468
"""PRAGMA application_id, "isth": any other SQLite file is refused rather than written to."""

PAGE_SIZE = 8192
"""Twice SQLite's usual: a vector of 512 to 1152 fp16 numbers then wastes little of a page."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # One row: who this library is, so that a derived file of another library is never taken for ours.
        "CREATE TABLE library (id TEXT NOT NULL, created_at INTEGER NOT NULL)",
        "INSERT INTO library VALUES (lower(hex(randomblob(16))), strftime('%s', 'now'))",
        # A folder the user named. Files are relative to it: a drive that is mounted elsewhere needs one update.
        """CREATE TABLE roots (
            id INTEGER PRIMARY KEY,
            path BLOB NOT NULL UNIQUE CHECK (typeof(path) = 'blob'),
            scanned_at INTEGER
        )""",
        """CREATE TABLE photos (
            id INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            added_at INTEGER NOT NULL
        )""",
        # `path` is bytes as the file system gives them: a name need not be UTF-8. A file is in one of three states:
        # known (photo is set), unread (reason is set), pending (neither). `gone_at`: it was here and is not now.
        # `reader`: the software that could not read it; another version tries again.
        """CREATE TABLE files (
            id INTEGER PRIMARY KEY,
            root INTEGER NOT NULL REFERENCES roots (id),
            path BLOB NOT NULL CHECK (typeof(path) = 'blob'),
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            photo INTEGER REFERENCES photos (id),
            reason TEXT,
            detail TEXT,
            reader TEXT,
            gone_at INTEGER,
            UNIQUE (root, path),
            CHECK (photo IS NULL OR reason IS NULL)
        )""",
        "CREATE INDEX files_of_photo ON files (photo) WHERE photo IS NOT NULL",
        # `generation` counts every change of the model's vectors: the matrix on disk is current or it is not.
        """CREATE TABLE models (
            id INTEGER PRIMARY KEY,
            fingerprint TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            dim INTEGER NOT NULL CHECK (dim > 0),
            generation INTEGER NOT NULL DEFAULT 0,
            used_at INTEGER NOT NULL
        )""",
        # `vector`: fp16, little-endian; `crc`: CRC-32 of it, because SQLite has no checksum over a page.
        # AUTOINCREMENT: an id is never used twice, so "rows after id n" are exactly the new ones.
        """CREATE TABLE vectors (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            photo INTEGER NOT NULL REFERENCES photos (id),
            model INTEGER NOT NULL REFERENCES models (id),
            vector BLOB NOT NULL,
            crc INTEGER NOT NULL,
            UNIQUE (model, photo)
        )""",
        """CREATE TRIGGER vector_added AFTER INSERT ON vectors BEGIN
            UPDATE models SET generation = generation + 1 WHERE id = NEW.model; END""",
        """CREATE TRIGGER vector_changed AFTER UPDATE ON vectors BEGIN
            UPDATE models SET generation = generation + 1 WHERE id IN (OLD.model, NEW.model); END""",
        """CREATE TRIGGER vector_removed AFTER DELETE ON vectors BEGIN
            UPDATE models SET generation = generation + 1 WHERE id = OLD.model; END""",
    ),
    (
        # What a file says of its photo (`metadata.Metadata`): of the file, since its name and its sidecar speak too.
        # `version`: of the code that read it; an older one, or none, and the file is read again. `sidecar`: which one
        # was read, with its size and time. `taken`: ISO 8601, local wall time. `kinds`: bits, as `facts` has them.
        # `code`: country and region of the gazetteer. `problems`: a line each.
        """CREATE TABLE facts (
            file INTEGER PRIMARY KEY REFERENCES files (id),
            version INTEGER NOT NULL,
            sidecar BLOB,
            taken TEXT,
            precision TEXT,
            "offset" INTEGER,
            taken_from TEXT,
            latitude REAL,
            longitude REAL,
            altitude REAL,
            code TEXT NOT NULL,
            maker TEXT NOT NULL,
            model TEXT NOT NULL,
            lens TEXT NOT NULL,
            rating INTEGER,
            title TEXT NOT NULL,
            caption TEXT NOT NULL,
            software TEXT NOT NULL,
            kinds INTEGER NOT NULL,
            live_id TEXT NOT NULL,
            problems TEXT NOT NULL
        )""",
        # Keywords and people. `x`, `y`, `w`, `h`: where in the upright picture a person is, shares of its sides.
        """CREATE TABLE tags (
            file INTEGER NOT NULL REFERENCES files (id),
            kind TEXT NOT NULL CHECK (kind IN ('keyword', 'person')),
            value TEXT NOT NULL,
            x REAL, y REAL, w REAL, h REAL
        )""",
        "CREATE INDEX tags_of_file ON tags (file)",
        "CREATE INDEX tags_of_value ON tags (value)",
    ),
    (
        # The regions of a photo through a model, a row of `vectors` each, in the order of `regions.boxes`; `layout`:
        # which boxes. The rest as in `vectors`; `closer` of a model as its `generation`.
        "ALTER TABLE models ADD COLUMN closer INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE regions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            photo INTEGER NOT NULL REFERENCES photos (id),
            model INTEGER NOT NULL REFERENCES models (id),
            layout INTEGER NOT NULL,
            vectors BLOB NOT NULL,
            crc INTEGER NOT NULL,
            UNIQUE (model, photo)
        )""",
        """CREATE TRIGGER regions_added AFTER INSERT ON regions BEGIN
            UPDATE models SET closer = closer + 1 WHERE id = NEW.model; END""",
        """CREATE TRIGGER regions_removed AFTER DELETE ON regions BEGIN
            UPDATE models SET closer = closer + 1 WHERE id = OLD.model; END""",
    ),
    (
        # The text in a picture: a row for each photo whose text was read, also where there is none. `version`: of the
        # reading; an older one, or none, and the photo is read again. `words`: all lines, folded; `run`: the same
        # without spaces.
        """CREATE TABLE texts (
            photo INTEGER PRIMARY KEY REFERENCES photos (id),
            version INTEGER NOT NULL,
            engine TEXT NOT NULL,
            words TEXT NOT NULL,
            run TEXT NOT NULL
        )""",
        # `x`, `y`, `w`, `h`: the box around it, shares of the upright picture's sides.
        """CREATE TABLE text_lines (
            photo INTEGER NOT NULL REFERENCES photos (id),
            line INTEGER NOT NULL,
            text TEXT NOT NULL,
            confidence REAL NOT NULL,
            x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,
            PRIMARY KEY (photo, line)
        ) WITHOUT ROWID""",
        # The words are separated and folded already: "ascii" divides at spaces and takes all else as it is.
        """CREATE VIRTUAL TABLE text_words USING fts5 (words, content = 'texts', content_rowid = 'photo',
            tokenize = 'ascii')""",
        """CREATE VIRTUAL TABLE text_runs USING fts5 (run, content = 'texts', content_rowid = 'photo',
            tokenize = 'trigram case_sensitive 1')""",
        """CREATE TRIGGER text_added AFTER INSERT ON texts BEGIN
            INSERT INTO text_words (rowid, words) VALUES (NEW.photo, NEW.words);
            INSERT INTO text_runs (rowid, run) VALUES (NEW.photo, NEW.run); END""",
        """CREATE TRIGGER text_removed AFTER DELETE ON texts BEGIN
            INSERT INTO text_words (text_words, rowid, words) VALUES ('delete', OLD.photo, OLD.words);
            INSERT INTO text_runs (text_runs, rowid, run) VALUES ('delete', OLD.photo, OLD.run); END""",
    ),
    (
        # What a photo looks like (`prints`): in 64 bits, and in 16 x 16 cells of grey. `version`: of the code that made
        # it; an older one, or none, and it is made again. Both are NULL where the picture is too even to have a print.
        """CREATE TABLE prints (
            photo INTEGER PRIMARY KEY REFERENCES photos (id),
            version INTEGER NOT NULL,
            dhash BLOB CHECK (dhash IS NULL OR length(dhash) = 8),
            grey BLOB CHECK (grey IS NULL OR length(grey) = 256)
        )""",
        # Files that are videos. `live_id`: Apple's content identifier, "" where the video says none. `still`: the
        # photo it is the moving half of.
        """CREATE TABLE clips (
            file INTEGER PRIMARY KEY REFERENCES files (id),
            live_id TEXT NOT NULL,
            still INTEGER REFERENCES photos (id)
        )""",
        "CREATE INDEX clips_of_still ON clips (still) WHERE still IS NOT NULL",
        # Some of these are videos, which are told apart now: they are looked at once more.
        "UPDATE files SET reader = NULL WHERE reason = 'not a picture'",
    ),
    (
        # What the user names: a person, a pet, a thing.
        """CREATE TABLE names (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            added_at INTEGER NOT NULL
        )""",
        # A picture that shows it, or does not (`wrong`). `photo`: where it is one of the library. `picture`: what is
        # shown, small, as WebP, so that any later model can look at it though the file be gone. `boxed`: it is a part
        # that was pointed at, and all of it the named thing.
        """CREATE TABLE examples (
            id INTEGER PRIMARY KEY,
            name INTEGER NOT NULL REFERENCES names (id) ON DELETE CASCADE,
            photo INTEGER REFERENCES photos (id),
            wrong INTEGER NOT NULL CHECK (wrong IN (0, 1)),
            boxed INTEGER NOT NULL CHECK (boxed IN (0, 1)),
            picture BLOB NOT NULL,
            added_at INTEGER NOT NULL
        )""",
        "CREATE INDEX examples_of_name ON examples (name)",
        # As a model sees it: the whole and, of one that is not boxed, its regions. The rest as in `vectors`.
        """CREATE TABLE example_vectors (
            example INTEGER NOT NULL REFERENCES examples (id) ON DELETE CASCADE,
            model INTEGER NOT NULL REFERENCES models (id),
            vectors BLOB NOT NULL,
            crc INTEGER NOT NULL,
            PRIMARY KEY (example, model)
        ) WITHOUT ROWID""",
        # Derived, for the model that serves: which photos show what is named. `score`: the cosine in the space where
        # the library's own spread is even; 1 of examples. `part`: where, as `ranking.Best` has it.
        """CREATE TABLE named (
            name INTEGER NOT NULL REFERENCES names (id) ON DELETE CASCADE,
            photo INTEGER NOT NULL REFERENCES photos (id),
            score REAL NOT NULL,
            part INTEGER NOT NULL,
            PRIMARY KEY (name, photo)
        ) WITHOUT ROWID""",
        # One row: of which vectors and examples that was made.
        "CREATE TABLE named_of (state TEXT NOT NULL)",
    ),
    (
        # Title, caption and keywords in folded words (`said.folded`), to be searched.
        "ALTER TABLE facts ADD COLUMN said TEXT NOT NULL DEFAULT ''",
        """UPDATE facts SET said = folded(title, caption, (SELECT json_group_array(t.value) FROM tags t
            WHERE t.file = facts.file AND t.kind = 'keyword'))""",
        """CREATE VIRTUAL TABLE said_words USING fts5 (said, content = 'facts', content_rowid = 'file',
            tokenize = 'porter ascii')""",
        "INSERT INTO said_words (said_words) VALUES ('rebuild')",
        """CREATE TRIGGER said_added AFTER INSERT ON facts BEGIN
            INSERT INTO said_words (rowid, said) VALUES (NEW.file, NEW.said); END""",
        """CREATE TRIGGER said_removed AFTER DELETE ON facts BEGIN
            INSERT INTO said_words (said_words, rowid, said) VALUES ('delete', OLD.file, OLD.said); END""",
    ),
)
"""Migration i leads from version i to i + 1 (PRAGMA user_version). Never edited once released, only added to."""


def tables(version: int) -> set[str]:
    """The names of those that a library of that version has."""
    made = (re.match(r"CREATE TABLE (\w+)", statement) for step in MIGRATIONS[:version] for statement in step)
    return {match[1] for match in made if match}


def migrate(database: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring a library to the newest version, each step in one transaction: a kill leaves the old or the new."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.create_function("folded", 3, lambda title, caption, words: folded(title, caption, json.loads(words)))
    for step in range(version, len(migrations)):
        database.execute("BEGIN IMMEDIATE")
        try:
            for statement in migrations[step]:
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {step + 1}")
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
