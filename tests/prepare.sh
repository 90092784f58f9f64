#!/bin/sh
# Installs what the tests drive besides Python: a browser, PostgreSQL and what checks the units. Only on Debian-likes and only as
# root; elsewhere the tests that need them say so and are skipped (and CI fails on that).
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
fc-list 2>/dev/null | grep -qi dejavu || missing="$missing fonts-dejavu-core"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  again="-o Acquire::Retries=5"
  apt-get update -qq $again >/dev/null && apt-get install -y -qq $again --no-install-recommends $missing >/dev/null
else
  echo "Not here, and not installed without root:$missing. Tests that need them are skipped."
fi
