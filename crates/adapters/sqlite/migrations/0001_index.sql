-- The index: what makes recordings listable and findable. Everything here can be made again from
-- the archive.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE recordings (
    num            INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,    -- 32 hexadecimal digits, so that prefixes are ranges
    correlation_id TEXT NOT NULL,
    created_at     TEXT NOT NULL,           -- RFC 3339, as it was told
    created_ns     INTEGER NOT NULL,        -- the same in nanoseconds since 1970, for filters
    duration_ms    INTEGER,
    tags           TEXT NOT NULL,           -- JSON, for reading; the table below is for filters
    metadata       TEXT NOT NULL,           -- JSON
    options        TEXT NOT NULL,           -- JSON
    state          TEXT NOT NULL,
    error          TEXT
);
CREATE INDEX recordings_by_time ON recordings (created_ns, num);
CREATE INDEX recordings_by_state ON recordings (state) WHERE state <> 'transcribed';

CREATE TABLE tags (
    tag       TEXT NOT NULL,
    recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
    PRIMARY KEY (tag, recording)
) WITHOUT ROWID;
CREATE INDEX tags_of_recording ON tags (recording);

CREATE TABLE transcripts (
    recording    INTEGER PRIMARY KEY REFERENCES recordings ON DELETE CASCADE,
    text         TEXT NOT NULL,
    language     TEXT,
    speech_model TEXT NOT NULL,
    embedded_by  TEXT NOT NULL              -- id of the embedding model; empty: not yet
);

-- A passage's text is in passages_text, under the same number.
CREATE TABLE passages (
    num       INTEGER PRIMARY KEY,
    recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
    ordinal   INTEGER NOT NULL,
    start_ms  INTEGER NOT NULL,
    end_ms    INTEGER NOT NULL,
    UNIQUE (recording, ordinal)
);

-- Tags are here too, spelt so that the stemmer leaves them alone: a keyword search within tags
-- then ranks only what bears them.
CREATE VIRTUAL TABLE passages_text USING fts5 (
    text,
    tags,
    tokenize = 'porter unicode61 remove_diacritics 2'
);
-- Deleted text leaves the full-text index at once, not at some later merge.
INSERT INTO passages_text (passages_text, rank) VALUES ('secure-delete', 1);

CREATE TABLE embedding_models (
    num        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL
);

-- Vectors as the model gave them (f32, little endian), for exact cosines of the few best.
CREATE TABLE vectors (
    passage INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    model   INTEGER NOT NULL REFERENCES embedding_models,
    block   INTEGER NOT NULL,
    vector  BLOB NOT NULL
);

-- The same in two bits a number, many to a row, for scanning. Small columns come first: they are read without
-- the large one.
CREATE TABLE vector_blocks (
    num        INTEGER PRIMARY KEY,
    model      INTEGER NOT NULL REFERENCES embedding_models,
    count      INTEGER NOT NULL,
    recordings BLOB NOT NULL,               -- count × u32, little endian: recordings.num
    passages   BLOB NOT NULL,               -- count × u32, little endian: passages.num
    scales     BLOB NOT NULL,               -- count × f32, little endian: factor of products
    codes      BLOB NOT NULL                -- count × ⌈dimensions / 4⌉
);
CREATE INDEX vector_blocks_with_room ON vector_blocks (model, count);
