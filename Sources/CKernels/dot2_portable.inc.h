// Products of pairs in plain C.

typedef v16i pairs_t;
typedef struct { int32_t even, odd; } pair_t;

INLINE pairs_t load_pairs(const int32_t *p) { return load16i(p); }

INLINE pair_t splat_pair(const int32_t *p) { return (pair_t){(int16_t)*p, *p >> 16}; }

INLINE v16i dot2(v16i sum, pair_t x, pairs_t w) { return sum + ((w << 16) >> 16) * x.even + (w >> 16) * x.odd; }
