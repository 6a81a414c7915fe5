#!/usr/bin/env bash
# Fails unless a run's folder holds a whole report of something that really ran.
# Usage: expect-report.sh <run> [checks that must have passed] [a word that the page must say]
set -euo pipefail
run=$1 checks=${2:-30} word=${3:-SPECIMEN}

for file in events.jsonl run.json report.html junit.xml summary.md measurements.csv; do
  [ -s "$run/$file" ] || { echo "missing or empty: $run/$file" >&2; exit 1; }
done
for plot in memory cpu; do
  compgen -G "$run/plots/$plot*.svg" >/dev/null || { echo "no $plot plot in $run/plots" >&2; exit 1; }
  compgen -G "$run/plots/$plot*.png" >/dev/null || { echo "no $plot picture in $run/plots" >&2; exit 1; }
done
# A report on nothing is a defect, not a pass.
passed=$(grep -c '"event":"check".*"outcome":"passed"' "$run/events.jsonl" || true)
samples=$(grep -c '"event":"sample"' "$run/events.jsonl" || true)
[ "$passed" -ge "$checks" ] || { echo "only $passed checks passed" >&2; exit 1; }
[ "$samples" -ge 100 ] || { echo "only $samples samples were taken" >&2; exit 1; }
grep -q "$word" "$run/report.html" || { echo "the report does not say $word" >&2; exit 1; }
echo "report: $passed checks passed, $samples samples"
