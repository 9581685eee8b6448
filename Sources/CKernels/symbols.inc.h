// How kernels are named and compiled, in every set.

// Vectors are passed between inlined functions only; no calling convention is involved.
#pragma clang diagnostic ignored "-Wpsabi"

#define SQ_JOIN_EXPANDED(name, isa) sq_##name##_##isa
#define SQ_JOIN(name, isa) SQ_JOIN_EXPANDED(name, isa)
#define SQ_SYMBOL(name) SQ_JOIN(name, SQ_ISA)

// Only what is written as a fused multiply-add is one.
#pragma STDC FP_CONTRACT OFF
