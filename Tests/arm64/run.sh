#!/usr/bin/env bash
# Cross-compiles the kernels and their driver for ARM and runs it under an emulator, on processors with and without the features that
# the NEON sets need. Takes the reference's hashes that the Swift tests wrote, where they have.
set -euo pipefail
cd "$(dirname "$0")/../.."

gcc=aarch64-linux-gnu-gcc
for tool in "$gcc" aarch64-linux-gnu-nm qemu-aarch64 swift; do
  if ! command -v "$tool" >/dev/null; then
    echo "ARM kernels: skipped, there is no $tool (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)"
    exit 0
  fi
done
# The compiler that Swift builds C with, wherever its links lead.
clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
[ -x "$clang" ] || clang=clang

build=.build/arm64
mkdir -p "$build"
for source in Sources/CKernels/*.c Tests/KernelCases/*.c Tests/arm64/*.c; do
  "$clang" --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include -ISources/CKernels/include \
    -ITests/KernelCases/include -std=c17 -O2 -Wall -Werror -c "$source" -o "$build/$(basename "$source" .c).o"
done
"$gcc" -static "$build"/*.o -lm -o "$build/kernel-driver"

# Every symbol of a kernel file is sq_<types>_<operation>_<set>, or its table.
for object in "$build"/sq_*.o; do
  isa=$(basename "$object" .o)
  isa=${isa#sq_}
  case $isa in avx* | amx) continue ;; esac
  aarch64-linux-gnu-nm --defined-only -g "$object" | awk -v isa="$isa" '
    { count++ }
    $3 != "sq_kernels_" isa && $3 !~ ("^sq_([a-z]+[0-9]+)+_[a-z_]+_" isa "$") { print "ARM kernels: the symbol " $3 " breaks the rule"; bad = 1 }
    END { if (count < 2) { print "ARM kernels: " isa " has no kernels"; bad = 1 } exit bad }'
done

hashes=.build/kernel-reference.txt
[ -f "$hashes" ] || hashes=
for case in max:neon-i8mm neoverse-n1:neon-dotprod cortex-a53:neon; do
  echo "qemu-aarch64 -cpu ${case%%:*}"
  qemu-aarch64 -cpu "${case%%:*}" "$build/kernel-driver" "${case#*:}" $hashes
done
