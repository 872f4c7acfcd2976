#!/usr/bin/env bash
# Runs all desktop tests in a given 3D Slicer; the exit status is 0 only when tests ran and all of them passed.
#
#   Testing/desktop/run_in_slicer.sh SLICER [OUTPUT]
#
# SLICER is the executable of the application. OUTPUT (or $DESKTOP_SCREENSHOTS; else desktop-screenshots/ of the
# repository) takes the screenshots, the logs and a summary of each pass. Where there is no display, Xvfb makes one.
#
#   DESKTOP_ONLY=TEXT       run only the tests whose names contain TEXT, and only with the main window
#   DESKTOP_HIDE=NAMES      be as if these packages were not installed, e.g. torch,monai
#   DESKTOP_TIMEOUT=SECONDS end a pass that takes longer, as failed (1200)
set -eu -o pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: $0 SLICER [OUTPUT]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
slicer=$1
output=${2:-${DESKTOP_SCREENSHOTS:-$root/desktop-screenshots}}
if ! command -v "$slicer" >/dev/null; then
  echo "$slicer is no program; give the path of Slicer's executable." >&2
  exit 2
fi
mkdir -p "$output"
output=$(cd "$output" && pwd)

# Every folder that holds a module of its own name.
modules=()
for file in "$root"/*/*.py; do
  folder=$(dirname "$file")
  if [ "$(basename "$file" .py)" = "$(basename "$folder")" ]; then
    modules+=("$folder")
  fi
done

before=()
if [ "$(uname)" = Linux ] && [ -z "${DISPLAY:-}" ] && [ -z "${WAYLAND_DISPLAY:-}" ]; then
  if ! command -v xvfb-run >/dev/null; then
    echo "There is no display and no xvfb-run; install Xvfb (Debian, Ubuntu: apt-get install xvfb xauth)." >&2
    exit 2
  fi
  before+=(xvfb-run --auto-servernum "--server-args=-screen 0 1600x1000x24")
fi
export DESKTOP_TIMEOUT=${DESKTOP_TIMEOUT:-1200}
if command -v timeout >/dev/null; then
  before+=(timeout --kill-after=30 "$DESKTOP_TIMEOUT")
fi
before+=("$slicer")

# pass NAME HIDDEN [FLAG...]: one run of the application; what is to run is decided in run_in_slicer.py.
pass() {
  local name=$1 hidden=$2 status=0
  shift 2
  echo "== Pass $name"
  rm -f "$output/$name.json"
  # --additional-module-paths must stand before --python-script: what follows that belongs to the script.
  DESKTOP_PASS=$name DESKTOP_SCREENSHOTS=$output DESKTOP_HIDE=$hidden \
    "${before[@]}" "$@" --no-splash --testing --disable-settings --ignore-slicerrc --disable-cli-modules \
    --additional-module-paths "${modules[@]}" --python-script "$here/run_in_slicer.py" 2>&1 |
    tee "$output/$name.log" || status=$?
  # An application that never came to the script, or ended in the midst of it, has left no summary.
  if [ ! -s "$output/$name.json" ]; then
    echo "== Pass $name: exit status $status, and no test was counted" >&2
    return 1
  fi
  echo "== Pass $name: exit status $status"
  cat "$output/$name.json"
  return "$status"
}

failed=0
pass main-window "${DESKTOP_HIDE:-}" || failed=1
if [ -z "${DESKTOP_ONLY:-}" ]; then
  # A module's panel must come up without a main window and before anything is installed.
  pass no-main-window "torch,monai,skimage,typer,rich${DESKTOP_HIDE:+,$DESKTOP_HIDE}" --no-main-window || failed=1
fi
exit "$failed"
