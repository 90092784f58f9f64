#!/bin/sh
# Put a backup back: sh deploy/restore.sh FILE. Stop Forbear first; the database must be empty or absent.
# Afterwards start Forbear: it reads from the ledgers what changed since the backup, by itself.
set -eu
umask 077
file=${1:?"say which: sh deploy/restore.sh FILE"}
data=${FORBEAR_DATA_DIR:-var}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
tar -C "$work" -xf "$file"
from=$(echo "$work"/forbear-*)
mkdir -p "$data"
if [ -f "$from/keys.json" ] && [ -f "$data/keys.json" ]; then
    echo "$data/keys.json exists already; move it away first." >&2
    exit 1
fi
if [ -f "$from/forbear.sqlite3" ]; then
    kept=${FORBEAR_DATABASE_URL:-sqlite:///$data/forbear.sqlite3}
    kept=${kept#sqlite:///}
    if [ -f "$kept" ]; then echo "$kept exists already; move it away first." >&2; exit 1; fi
    cp "$from/forbear.sqlite3" "$kept"
else
    pg_restore --no-owner --exit-on-error --single-transaction --dbname="$FORBEAR_DATABASE_URL" "$from/forbear.pgdump" || {
        echo "Nothing was restored. The database of FORBEAR_DATABASE_URL must be empty; create a new one for it." >&2
        exit 1
    }
fi
if [ -f "$from/keys.json" ]; then cp "$from/keys.json" "$data/keys.json"; fi # last: nothing is half restored
echo "Restored. Run \`forbear migrate\`, then start Forbear."
