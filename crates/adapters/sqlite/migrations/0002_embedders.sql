-- What another model embedded, or none yet, is looked for before each search: without a look at each
-- text.
CREATE INDEX transcripts_by_embedder ON transcripts (embedded_by);
