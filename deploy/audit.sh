#!/bin/sh
# Known weaknesses in what the lock file pins. Exit 0: none known; 1: some; 75: not checked, because a tool or the
# network is missing. Needs pipx, or pip-audit itself.
cd "$(dirname "$0")/.." || exit 75
if command -v pip-audit >/dev/null 2>&1; then audit="pip-audit"
elif command -v pipx >/dev/null 2>&1; then audit="pipx run pip-audit"
else
    echo "Not checked: install pip-audit or pipx." >&2
    exit 75
fi
said=$($audit --require-hashes --disable-pip --progress-spinner off -r "${1:-requirements.lock}" 2>&1)
code=$?
printf '%s\n' "$said"
case "$code:$said" in
    0:*) exit 0 ;;
    *"known vulnerabilit"*) exit 1 ;;
    *) echo "Not checked: pip-audit did not come to its end. Is the network there?" >&2; exit 75 ;;
esac
