/// The arithmetic that one core can do, measured: loops of nothing but multiply-adds between registers.
#ifndef CPEAK_H
#define CPEAK_H

/// Each returns how many multiplications and additions it has done, having done about `rounds` thousand instructions; 0 where the processor
/// lacks them (the caller asks only for what the kernel set says it has).
double peak_f32_avx2(long rounds);
double peak_f32_avx512(long rounds);
double peak_int8_avxvnni(long rounds);
double peak_int8_avx512vnni(long rounds);
double peak_int8_amx(long rounds);

#endif
