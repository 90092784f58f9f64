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
# pip-audit says "no known vulnerabilities" also of packages that it could not look up: a mirror of the
# package index has the files, and not what is known of them.
case "$code:$said" in
    0:*"could not be audited"*)
        echo "Not checked: what is known of the packages above could not be looked up. Ask from where the package index itself answers." >&2
        exit 75 ;;
    0:*) exit 0 ;;
    *ound\ [1-9]*"known vulnerabilit"*) exit 1 ;;
    *) echo "Not checked: pip-audit did not come to its end. Is the network there?" >&2; exit 75 ;;
esac
