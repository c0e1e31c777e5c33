-- Makes the index of an embedding model's vectors, as the owner of the schema does: PostgreSQL lets nobody else,
-- and the service that stores the first vectors of a model owns nothing. What is looked up here is looked up in
-- these schemas alone, so that no temporary table of a caller's takes the place of one of ours. 2,000: the most
-- dimensions that pgvector can index; longer vectors are found by comparing all.
CREATE FUNCTION index_vectors_of(embedding_model integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = speakr, public, pg_temp
AS $$
DECLARE
    size integer;
BEGIN
    SELECT dimensions INTO STRICT size FROM embedding_models WHERE num = embedding_model;
    IF size <= 2000 THEN
        -- All vectors of other models are read once.
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS vectors_of_model_%s ON vectors '
            'USING hnsw ((vector::vector(%s)) vector_cosine_ops) WHERE model = %s',
            embedding_model, size, embedding_model);
    END IF;
END
$$;
