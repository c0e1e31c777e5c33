-- How many passages hold each word: searches weigh words by it, and counting them for each query
-- would cost more than the query.
CREATE TABLE word_counts (
    word     text PRIMARY KEY,
    passages bigint NOT NULL
);
-- Whoever writes meanwhile waits, and counts then.
LOCK TABLE passages IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO word_counts SELECT word, ndoc FROM ts_stat('SELECT words FROM speakr.passages');

-- As for the other columns with text: the planner's statistics would keep it after its deletion.
ALTER TABLE word_counts ALTER word SET STATISTICS 0;
