-- The index: what makes recordings listable and findable. Everything here but tombstones and tokens
-- can be made again from the archive.

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE TABLE meta (
    key   text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE recordings (
    num         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          uuid NOT NULL UNIQUE,
    created_ns  bigint NOT NULL,        -- nanoseconds since 1970, for filters and order
    tags        text[] NOT NULL,        -- for filters
    state       text NOT NULL,
    description json NOT NULL           -- all of it, as it was told
);
CREATE INDEX recordings_by_time ON recordings (created_ns, num);
CREATE INDEX recordings_by_tag ON recordings USING gin (tags);
CREATE INDEX recordings_by_state ON recordings (state) WHERE state <> 'transcribed';

CREATE TABLE transcripts (
    recording    bigint PRIMARY KEY REFERENCES recordings ON DELETE CASCADE,
    text         text NOT NULL,
    language     text,
    speech_model text NOT NULL,
    embedded_by  text NOT NULL          -- id of the embedding model; empty: not yet
);

-- Tags, time and state are those of the recording, copied, so that one table answers a search.
CREATE TABLE passages (
    num        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recording  bigint NOT NULL REFERENCES recordings ON DELETE CASCADE,
    ordinal    bigint NOT NULL,
    start_ms   bigint NOT NULL,
    end_ms     bigint NOT NULL,
    text       text NOT NULL,
    words      tsvector NOT NULL,       -- its words, stemmed, without accents
    tags       text[] NOT NULL,
    created_ns bigint NOT NULL,
    state      text NOT NULL,
    UNIQUE (recording, ordinal)
) WITH (toast_tuple_target = 4080);
CREATE INDEX passages_by_word ON passages USING gin (words);
CREATE INDEX passages_by_tag ON passages USING gin (tags);
-- Read for every passage that holds a word of a query: it stays in the row.
ALTER TABLE passages ALTER words SET STORAGE MAIN;

CREATE TABLE embedding_models (
    num        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    dimensions integer NOT NULL
);

-- Apart from the texts, so that a scan reads vectors alone. The column has no dimension: each model
-- has its own, and an index of its own, which is made when its first vector comes.
CREATE TABLE vectors (
    passage    bigint PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    recording  bigint NOT NULL,
    model      integer NOT NULL REFERENCES embedding_models,
    vector     vector NOT NULL,
    tags       text[] NOT NULL,
    created_ns bigint NOT NULL,
    state      text NOT NULL
) WITH (toast_tuple_target = 8160);
CREATE INDEX vectors_of_recording ON vectors (recording);
CREATE INDEX vectors_by_tag ON vectors USING gin (tags);
CREATE INDEX vectors_by_time ON vectors (created_ns);
ALTER TABLE vectors ALTER vector SET STORAGE MAIN;

-- How many passages there are: counting them for each query would cost more than the query.
CREATE TABLE counts (
    passages bigint NOT NULL
);
INSERT INTO counts VALUES (0);

-- Recordings that were deleted: what comes late of them is not stored.
CREATE TABLE tombstones (
    id         uuid PRIMARY KEY,
    deleted_at timestamptz NOT NULL DEFAULT now()
);

-- Tokens as hashes.
CREATE TABLE tokens (
    token_id   uuid PRIMARY KEY,
    sha256     bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    name       text NOT NULL,
    scopes     text[] NOT NULL,
    created_at text NOT NULL,           -- RFC 3339
    created_ns bigint NOT NULL,
    expires_at text
);

-- The planner's statistics would keep parts of what was said, and after its deletion too.
ALTER TABLE recordings ALTER id SET STATISTICS 0, ALTER tags SET STATISTICS 0,
    ALTER description SET STATISTICS 0;
ALTER TABLE transcripts ALTER text SET STATISTICS 0;
ALTER TABLE passages ALTER text SET STATISTICS 0, ALTER words SET STATISTICS 0,
    ALTER tags SET STATISTICS 0;
ALTER TABLE vectors ALTER vector SET STATISTICS 0, ALTER tags SET STATISTICS 0;
