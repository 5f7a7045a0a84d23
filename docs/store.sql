-- The documents of a store of xrayd in DuckDB, each segment and independent subsegment once.
--
--   cd DIRECTORY_OF_THE_STORE && duckdb -init …/docs/store.sql
--
-- From elsewhere: SET file_search_path = 'DIRECTORY_OF_THE_STORE', or put the directory before date=*. docs/store.md
-- describes the columns and has queries to begin with. All times are in UTC.

CREATE OR REPLACE VIEW segments AS
SELECT
    trace_id,
    id,
    parent_id,
    type,
    name,
    origin,
    account_id,
    -- A time that is in no year from 1970 to 9999 is null: DuckDB would refuse the whole query for it.
    CASE WHEN start_time BETWEEN 0 AND 253402300799 THEN make_timestamp((start_time * 1e6)::BIGINT) END AS started_at,
    CASE WHEN end_time BETWEEN 0 AND 253402300799 THEN make_timestamp((end_time * 1e6)::BIGINT) END AS ended_at,
    -- Seconds. X-Ray has none for a segment that ends before it starts.
    CASE WHEN end_time >= start_time THEN end_time - start_time END AS duration,
    start_time,
    end_time,
    make_timestamp(epoch_us(received_at)) AS received_at,
    flags & 1 <> 0 AS error,
    flags & 2 <> 0 AS fault,
    flags & 4 <> 0 AS throttle,
    flags & 8 <> 0 AS in_progress,
    http_method,
    http_url,
    http_status,
    http_user_agent,
    http_client_ip,
    "user",
    availability_zone,
    instance_id,
    resource_arn,
    annotations::JSON AS annotations,
    from_json(calls::JSON, '[{
        "id": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR", "resource": "VARCHAR", "aws": "BOOLEAN",
        "start": "DOUBLE", "end": "DOUBLE", "status": "INTEGER",
        "error": "BOOLEAN", "fault": "BOOLEAN", "throttle": "BOOLEAN"
    }]') AS calls,
    regexp_extract_all(locals, '.{16}') AS locals,
    document::JSON AS document,
    raw,
    sequence,
    date
FROM read_parquet('date=*/*.parquet', hive_partitioning = true)
-- Of several documents with one id the first complete one counts, as in X-Ray; while there is none, the last that came.
QUALIFY row_number() OVER (
    PARTITION BY trace_id, id
    ORDER BY flags & 8, CASE WHEN flags & 8 = 0 THEN sequence ELSE -sequence END
) = 1;
