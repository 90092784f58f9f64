#!/bin/sh
# One file with everything that cannot be read again from a ledger: sh deploy/backup.sh FOLDER
# Reads the same settings as Forbear. Safe while it runs. Keep the file as you keep the books: it holds tokens
# (encrypted) and, for an embedded installation, the keys. Restore: deploy/restore.sh.
set -eu
umask 077
folder=${1:?"say where to: sh deploy/backup.sh FOLDER"}
data=${FORBEAR_DATA_DIR:-var}
case "${FORBEAR_DATABASE_URL:-sqlite:///$data/forbear.sqlite3}" in
sqlite:///*)
    file=${FORBEAR_DATABASE_URL:-sqlite:///$data/forbear.sqlite3}
    if [ ! -s "${file#sqlite:///}" ]; then
        echo "There is no database ${file#sqlite:///} here. Run this in the folder in which Forbear runs, with its settings." >&2
        exit 1
    fi
    ;;
esac
mkdir -p "$folder"
into="$folder/forbear-$(date -u +%Y%m%dT%H%M%SZ)"
mkdir "$into"
trap 'rm -rf "$into"' EXIT
case "${FORBEAR_DATABASE_URL:-sqlite:///$data/forbear.sqlite3}" in
sqlite:///*)
    file=${FORBEAR_DATABASE_URL:-sqlite:///$data/forbear.sqlite3}
    # SQLite's own online copy: consistent while others write.
    python3 -c 'import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as kept, sqlite3.connect(sys.argv[2]) as copy: kept.backup(copy)' \
        "${file#sqlite:///}" "$into/forbear.sqlite3"
    ;;
*) pg_dump --format=custom --no-owner --file="$into/forbear.pgdump" "$FORBEAR_DATABASE_URL" ;;
esac
if [ -f "$data/keys.json" ]; then
    cp "$data/keys.json" "$into/keys.json"
elif [ -z "${FORBEAR_TOKEN_KEYS:-}" ]; then
    echo "The keys are not in this backup: no $data/keys.json here, and FORBEAR_TOKEN_KEYS is not set." >&2
fi
tar -C "$folder" -cf "$into.tar" "$(basename "$into")"
echo "$into.tar"
