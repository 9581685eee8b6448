/// How often the calling thread has allocated memory so far, and how often more than `ALLOCATION_SMALL` bytes; −1 where that cannot be told.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#define ALLOCATION_SMALL 64

typedef struct {
  long all, large;
} allocation_counts;

allocation_counts allocations_so_far(void);

#endif
