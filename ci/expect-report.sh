#!/usr/bin/env bash
# Fails unless a run's folder holds a whole report of something that really ran. Usage: expect-report.sh <run>
set -euo pipefail
run=$1

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
[ "$passed" -ge 30 ] || { echo "only $passed checks passed" >&2; exit 1; }
[ "$samples" -ge 100 ] || { echo "only $samples samples were taken" >&2; exit 1; }
grep -q SPECIMEN "$run/report.html" || { echo "the report does not say that it is of the specimen" >&2; exit 1; }
echo "report: $passed checks passed, $samples samples"
