// How kernels are named and compiled, in every set.

// Vectors are passed between inlined functions only; no calling convention is involved.
#pragma clang diagnostic ignored "-Wpsabi"

#define SQ_JOIN_EXPANDED(name, isa) sq_##name##_##isa
#define SQ_JOIN(name, isa) SQ_JOIN_EXPANDED(name, isa)
#define SQ_SYMBOL(name) SQ_JOIN(name, SQ_ISA)

// Only what is written as a fused multiply-add is one.
#pragma STDC FP_CONTRACT OFF

// X(1) X(2) … X(count), for the cases of a switch over the rows of a tile.
#define SQ_EACH_COUNT(count, X) SQ_EACH_COUNT_EXPANDED(count, X)
#define SQ_EACH_COUNT_EXPANDED(count, X) SQ_EACH_TO_##count(X)
#define SQ_EACH_TO_1(X) X(1)
#define SQ_EACH_TO_2(X) SQ_EACH_TO_1(X) X(2)
#define SQ_EACH_TO_3(X) SQ_EACH_TO_2(X) X(3)
#define SQ_EACH_TO_4(X) SQ_EACH_TO_3(X) X(4)
#define SQ_EACH_TO_6(X) SQ_EACH_TO_4(X) X(5) X(6)
#define SQ_EACH_TO_8(X) SQ_EACH_TO_6(X) X(7) X(8)
#define SQ_EACH_TO_12(X) SQ_EACH_TO_8(X) X(9) X(10) X(11) X(12)

// How many vectors elementary functions take together (`_each`), where they have the choice.
#ifndef SQ_ABREAST
#define SQ_ABREAST 1
#endif
