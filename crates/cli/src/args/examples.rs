//! What stands below the help texts.

pub(super) const EXAMPLES: &str = "Examples:
  dbmux sql sales.duckdb \"select * from orders limit 5\"
  dbmux sql sales.duckdb              a prompt
  dbmux who sales.duckdb              who has the file, and who waits
  dbmux run sales.duckdb -- ./load.py  hand the file over to a tool that opens it itself
  dbmux lock nightly -- ./report.sh   run a command under a lock
  dbmux demo                          see what it is good for

Environment:
  DBMUX_WAIT, DBMUX_PRIORITY, DBMUX_LOG, DBMUX_RUNTIME_DIR, NO_COLOR, and more: `dbmux environment`

Exit codes:
  0   done
  1   the SQL or the child failed (a child's own code is passed on)
  2   usage
  69  no broker could be started
  75  locked, queue full or out of time: try again later
  76  outcome unknown: look before you repeat it
  77  conflict: redo the transaction
  130 interrupted";

pub(super) const SQL_EXAMPLES: &str = "Examples:
  dbmux sql sales.duckdb \"select count(*) from orders\"
  dbmux sql sales.duckdb --format json \"from orders where id = \\$1\" --param 7
  dbmux sql sales.duckdb -f schema.sql
  generate | dbmux sql sales.duckdb      each statement runs when its `;` has come

The first command starts the database's broker; nothing has to be set up. Several statements run
one after the other in one session; the first error ends them. A transaction that they leave open is
rolled back, and that is an error.

At the prompt: .tables, .schema [TABLE], .mode [FORMAT], .help; .quit, .exit, exit, quit or Ctrl-D
ends it.

Formats: csv writes NULL as an empty field, and lists, structs and maps as JSON text. json and
jsonl write numbers with all their digits, NaN and the infinities as strings, BLOBs as hexadecimal
strings. In json each statement answers with an array: one that has no rows of its own with
[{\"rows_changed\":n}], or with []. arrow is an Arrow IPC stream for each result. table lays out
10000 rows, or 4 MiB of text, at a time, each part with a header of its own: a large result is never
kept whole. Several results follow one another; an empty line stands between two of csv or table.";

pub(super) const LOCK_EXAMPLES: &str = "Examples:
  dbmux lock nightly -- ./report.sh              one at a time, on this machine, for this user
  dbmux lock deploy --scope project -- make      one at a time in this project
  dbmux lock sales.duckdb --shared -- ./read.sh  beside others that share it
  dbmux lock nightly --wait 0 -- ./report.sh     now or never: exits 75 when somebody has it
  dbmux lock nightly                             who has it, and who waits

The command's exit code is passed on: 128 + n when signal n ended it, 127 when it is not there,
126 when it cannot be run. DBMUX_FENCE tells it a number that grows with every exclusive grant.";

pub(super) const RUN_EXAMPLES: &str = "Examples:
  dbmux run sales.duckdb -- python load.py       it opens sales.duckdb itself
  dbmux run a.duckdb b.duckdb -- ./merge.sh      both files, all or none
  dbmux run sales.duckdb --wait 0 -- ./load.py   now or never: exits 75 when somebody has it
  dbmux run big.duckdb --reads wait -- ./load.py makes no copy: everybody else waits

What runs may end, nobody else begins, the broker lets the file go, and the command starts. Writes
that come meanwhile wait in line, and are told for whom; they go on when the command has ended. A
transaction that is idle for longer than DBMUX_IDLE_TRANSACTION is ended, and a statement that runs
for longer than DBMUX_DRAIN.

Reads go on: where a broker runs, a copy answers them, and says as of when. It is made before the
command starts: at once where the file system shares blocks (XFS, Btrfs), else in some seconds for
each GiB, and takes as much room. Of a file larger than DBMUX_SNAPSHOT_LIMIT there is none: then
reads wait. So they do with `--reads wait`: no copy is made, and the command waits for none.

The command's exit code is passed on: 128 + n when signal n ended it, 127 when it is not there, 126
when it cannot be run. A `dbmux run` inside of it, on the same file, does not wait for itself; a
`dbmux sql` there is refused.";
