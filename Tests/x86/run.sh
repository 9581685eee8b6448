#!/usr/bin/env bash
# Runs the built command (its path is the argument) on emulated processors without AVX: the logits in int8 must be
# the same to the last digit as on the processor itself.
set -euo pipefail
command=$1

if [ "$(uname -m)" != x86_64 ] || ! command -v qemu-x86_64 >/dev/null; then
  echo "old processors: skipped, this needs an x86-64 machine and qemu-x86_64 (Debian: qemu-user)"
  exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo '{"input_ids": [[101, 2129, 2172, 102, 2410, 1003, 102]]}' >"$folder/batch.json"
logits=(logits --input "$folder/batch.json" --precision int8)
"$command" "${logits[@]}" >"$folder/here.json"
# Nehalem (2008) has SSE4.2 and no AVX. The emulator says which features it cannot give a processor; that is not our output.
processor=Nehalem
qemu-x86_64 -cpu "$processor" "$command" backends 2>/dev/null | grep -E '  [a-z0-9]+ +chosen' | tail -1 |
  sed -E "s/^ *([a-z0-9]+).*/$processor: kernel set \1/"
qemu-x86_64 -cpu "$processor" "$command" "${logits[@]}" >"$folder/there.json" 2>"$folder/errors" ||
  { cat "$folder/errors"; exit 1; }
cmp "$folder/here.json" "$folder/there.json"
echo "$processor: the same int8 logits"
qemu-x86_64 -cpu "$processor" "$command" answer --question "How much is it?" --passage "It is 13%." 2>/dev/null
